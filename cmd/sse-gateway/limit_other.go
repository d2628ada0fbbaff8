//go:build !unix

package main

func connectionLimit() int { return fallbackConnectionLimit }

func descriptorCeiling() int { return 2 * fallbackConnectionLimit }
