package config

import (
	"os"
	"regexp"
	"slices"
	"strings"
)

// unknownVariable is an error about a variable that begins with the prefix and
// means nothing.
type unknownVariable struct {
	name  string
	meant string // the known variable with the most similar name; "" if none is similar
}

func (u unknownVariable) Error() string {
	s := u.name + " means nothing to sse-gateway"
	if u.meant != "" {
		s += "; did you mean " + u.meant + "?"
	}
	return s
}

// unknownVariables returns the variables of the environment that begin with the
// prefix and mean nothing, sorted by name.
func unknownVariables() []unknownVariable {
	var known []string
	for _, v := range Variables() {
		known = append(known, v.Name)
	}
	var unknown []unknownVariable
	for _, kv := range os.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, prefix) && !slices.Contains(known, name) && !isOfService(name, value) {
			unknown = append(unknown, unknownVariable{name, mostSimilar(name, known)})
		}
	}
	slices.SortFunc(unknown, func(a, b unknownVariable) int { return strings.Compare(a.name, b.name) })
	return unknown
}

// serviceVariable matches the names of the variables that Kubernetes sets in
// every pod for a service named sse or sse-…, but for …_PORT.
// (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables)
var serviceVariable = regexp.MustCompile(`^SSE(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// isOfService reports whether a variable is one of a service: …_PORT is so only
// with a value such as tcp://10.0.0.1:80.
func isOfService(name, value string) bool {
	return serviceVariable.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}

// mostSimilar returns the candidate that was probably meant by name, or "". One
// was meant if at most a third of what follows the prefix has to be edited.
func mostSimilar(name string, candidates []string) string {
	name = strings.TrimPrefix(name, prefix)
	best, least := "", len(name)/3+1
	for _, c := range candidates {
		if d := editDistance(name, strings.TrimPrefix(c, prefix)); d < least {
			best, least = c, d
		}
	}
	return best
}

// editDistance returns how many characters have to be inserted, deleted,
// replaced or exchanged with their neighbour to make b of a (optimal string
// alignment distance).
func editDistance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, above, row := rows[0], rows[1], rows[2]
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := above[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(above[j]+1, row[j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
