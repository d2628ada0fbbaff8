package clients

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of README.md")

// TestTable keeps README's table to what TestClients holds the gateway to.
func TestTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| client | used | a roll-out | kill -9 | Redis drops its connections | a refusal | an event of 100 KiB | 204 | 401 |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range slices.Concat(clients, npmClients) {
		b.WriteString("| " + c.name + " | " + c.how)
		for f := roll; f <= large; f++ {
			switch {
			case c.failsAt == f:
				b.WriteString(" | **does not come back**: " + c.why)
			case c.fails(f):
				b.WriteString(" | ")
			default:
				b.WriteString(" | exact")
			}
		}
		for _, answer := range finalAnswers {
			if strings.Contains(c.again, answer) {
				b.WriteString(" | **asks again**")
			} else {
				b.WriteString(" | stops")
			}
		}
		b.WriteString(" |\n")
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- table -->\n", "<!-- /table -->"
	before, rest, _ := strings.Cut(string(readme), begin)
	got, after, ok := strings.Cut(rest, end)
	switch {
	case !ok:
		t.Fatalf("README.md has no %s…%s", begin, end)
	case got == b.String():
	case *update:
		if err := os.WriteFile("README.md", []byte(before+begin+b.String()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table is old: go test -run TestTable -update; want\n%s", b.String())
	}
}
