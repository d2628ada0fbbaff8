package main

import "testing"

// Memory is given back when a crowd has come or gone and it is calm again, also
// if the crowd came and went, and not for every few.
func TestTrimmerIsDue(t *testing.T) {
	type step struct {
		connections int64
		due         bool
	}
	for name, steps := range map[string][]step{
		"nobody":         {{0, false}, {0, false}},
		"a few":          {{50, false}, {50, false}, {99, false}, {99, false}, {0, false}, {0, false}},
		"a crowd":        {{500, false}, {500, true}, {500, false}, {505, false}},
		"it goes":        {{500, false}, {500, true}, {10, false}, {9, true}, {9, false}},
		"comes and goes": {{1, false}, {501, false}, {1, false}, {1, true}, {1, false}},
		"not calm":       {{500, false}, {1000, false}, {2000, false}, {2100, true}, {2200, false}, {2650, false}, {2900, true}},
		"part of many":   {{100_000, false}, {100_000, true}, {99_500, false}, {80_000, false}, {80_000, false}, {75_000, true}},
	} {
		var tr trimmer
		for i, s := range steps {
			if got := tr.due(s.connections); got != s.due {
				t.Errorf("%s: step %d, %d connections: due %v, want %v", name, i, s.connections, got, s.due)
			}
		}
	}
}
