package main

// fallbackConnectionLimit is used where there is no file limit to go by.
const fallbackConnectionLimit = 1 << 20
