package integrity

import (
	"slices"
	"testing"
)

func TestWhatAGapExcuses(t *testing.T) {
	// Redis has the events 1 to 10 and 15 to 20; the ids of 17 and 18 are not known.
	r := &Retained{
		Numbers: []Span{{1, 10}, {15, 20}},
		Places:  map[string]Place{"8-0": {8, 8}, "12-0": {12, 12}, "16-0": {16, 18}, "17-0": {16, 18}, "20-0": {20, 20}},
	}
	gap := func(reason string, ids ...string) Announced {
		ids = append(ids, "", "")
		return Announced{ids[0], ids[1], reason}
	}
	tests := []struct {
		name     string
		from, to int64
		gaps     []Announced
		lost     []Span
	}{
		{"no gap", 12, 13, nil, []Span{{12, 13}}},
		{"reset, gone", 11, 14, []Announced{gap("reset", "10-0", "12-0")}, nil},
		{"reset, some of it gone", 9, 16, []Announced{gap("reset")}, []Span{{9, 10}, {15, 16}}},
		{"unknown id", 9, 11, []Announced{gap("unknown_id")}, []Span{{9, 10}}},
		{"a reason of tomorrow", 9, 11, []Announced{gap("else")}, []Span{{9, 10}}},
		{"trimmed", 11, 12, []Announced{gap("trimmed", "8-0", "12-0")}, nil},
		{"trimmed, Redis has some", 9, 12, []Announced{gap("trimmed", "8-0", "12-0")}, []Span{{9, 10}}},
		{"trimmed, begins before the gap", 7, 12, []Announced{gap("trimmed", "8-0", "12-0")}, []Span{{7, 10}}},
		{"trimmed, ends after the gap", 11, 14, []Announced{gap("trimmed", "8-0", "12-0")}, []Span{{13, 14}}},
		{"trimmed, says nothing", 11, 12, []Announced{gap("trimmed")}, []Span{{11, 12}}},
		{"trimmed, then reset", 11, 14, []Announced{gap("trimmed", "8-0", "12-0"), gap("reset")}, nil},
		{"too large, Redis has it", 19, 20, []Announced{gap("too_large", "16-0", "20-0")}, nil},
		{"too large, and more", 15, 20, []Announced{gap("too_large", "16-0", "20-0")}, []Span{{15, 16}}},
		{"too large, one whose id is not known", 17, 17, []Announced{gap("too_large", "16-0", "17-0")}, nil},
		{"too large, says nothing", 17, 17, []Announced{gap("too_large")}, []Span{{17, 17}}},
	}
	for _, tt := range tests {
		if got := r.lost(hole{tt.from, tt.to, tt.gaps}); !slices.Equal(got, tt.lost) {
			t.Errorf("%s: lost %v, want %v", tt.name, got, tt.lost)
		}
	}
	one := []Announced{gap("reset")}
	if got := (*Retained)(nil).lost(hole{1, 3, one}); got != nil {
		t.Errorf("no Redis to ask: lost %v", got)
	}
	if got := AllRetained.lost(hole{1, 3, one}); !slices.Equal(got, []Span{{1, 3}}) {
		t.Errorf("a channel that had no gap yet: lost %v", got)
	}
}

func TestEntryIDs(t *testing.T) {
	if id, ok := ParseEntryID("18446744073709551615-3"); !ok || id != (EntryID{1<<64 - 1, 3}) {
		t.Errorf("%+v %v", id, ok)
	}
	for _, bad := range []string{"", "1", "-", "1-", "-1", "1-x", "1-2-3", "18446744073709551616-0", "+1-0"} {
		if id, ok := ParseEntryID(bad); ok {
			t.Errorf("%q is taken for %+v", bad, id)
		}
	}
}

func TestPlacesInAnIDLog(t *testing.T) {
	log := IDLog{{EntryID{10, 0}, 1}, {EntryID{10, 1}, 2}, {EntryID{20, 0}, 3}, {EntryID{30, 5}, 6}}
	for at, want := range map[string]Place{
		"0-0": {0, 0}, "9-9": {0, 0}, "10-0": {1, 1}, "10-1": {2, 2}, "19-0": {2, 2},
		"20-0": {3, 5}, // 4 and 5 got ids that nobody knows
		"30-4": {3, 5}, "30-5": {6, 7}, "99-0": {6, 7},
	} {
		id, _ := ParseEntryID(at)
		if got := log.Place(id, 7); got != want {
			t.Errorf("the place of %s: %+v, want %+v", at, got, want)
		}
	}
	// After a failover to an older copy, whose clock is behind as well.
	if got := slices.Clone(log).Add(Noted{EntryID{20, 0}, 7}); !slices.Equal(got, IDLog{log[0], log[1], {EntryID{20, 0}, 7}}) {
		t.Errorf("after a reset: %v", got)
	}
	if got := IDLog(nil).Place(EntryID{}, 1); got != (Place{0, 1}) {
		t.Errorf("no id is known, and yet it tells: %v", got)
	}
}
