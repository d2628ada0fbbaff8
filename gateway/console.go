package gateway

import "strings"

// isConsolePath reports whether a path belongs to the console.
func isConsolePath(path string) bool { return path == "/" || strings.HasPrefix(path, "/console/") }
