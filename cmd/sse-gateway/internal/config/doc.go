// Package config is what the environment says: a struct with a field for each variable,
// filled and checked. All mistakes are told at once, each in a line that names the
// variable, its value unless that is secret, and what is accepted.
package config
