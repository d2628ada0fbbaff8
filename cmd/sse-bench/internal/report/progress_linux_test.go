package report

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

// openTerminal returns both ends of a pseudo terminal: the program's, and the screen's.
func openTerminal(t *testing.T) (program, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return program, screen
}

// readScreen returns what the program has written so far. A bell ends it, because the
// kernel passes the bytes on in its own time.
func readScreen(t *testing.T, program, screen *os.File) string {
	t.Helper()
	if _, err := program.WriteString("\a"); err != nil {
		t.Fatal(err)
	}
	var text []byte
	for b := make([]byte, 4096); !bytes.HasSuffix(text, []byte("\a")); {
		n, err := screen.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b[:n]...)
	}
	return strings.TrimSuffix(string(text), "\a")
}

// shown is what stands on a terminal after a text: each line from its last erasure on.
func shown(text string) []string {
	var lines []string
	for _, line := range strings.Split(text, "\r\n") {
		rows := strings.Split(strings.NewReplacer(noWrap, "", wrap, "").Replace(line), eraseLine)
		lines = append(lines, rows[len(rows)-1])
	}
	return lines
}

// On a terminal the progress is one line that changes, and none is left at the end. What
// has to stay stands on a line of its own.
func TestProgressOnATerminal(t *testing.T) {
	program, screen := openTerminal(t)
	var before, after []string
	synctest.Test(t, func(t *testing.T) {
		p := NewProgress(program, false)
		for second := range int64(3) {
			redistest.Pass(Every)
			p.Tick(Counts{Connected: 1_000_000, Published: 500 * (second + 1), Delivered: 1000 * (second + 1), Expected: 9999, Worst: 12 * time.Millisecond})
		}
		before = shown(readScreen(t, program, screen))
		p.Say("%d subscriptions are behind", 7)
		p.Tick(Counts{}) // within the same second: nothing
		p.Done()
		after = shown(readScreen(t, program, screen))
	})
	if len(before) != 1 || !strings.HasPrefix(before[0], "   3s  connected 1000000  published 500/s  delivered 1000/s  lag 12 ms  behind 6999") {
		t.Errorf("after three seconds the terminal shows %q", before)
	}
	if len(after) != 2 || after[0] != "   3s  7 subscriptions are behind" || after[1] != "" {
		t.Errorf("at the end it shows %q", after)
	}
}

// A terminal may be narrower than the line, which then must not go on to the next row:
// an erasure would leave the first one.
func TestProgressDoesNotWrap(t *testing.T) {
	program, screen := openTerminal(t)
	synctest.Test(t, func(t *testing.T) {
		p := NewProgress(program, false)
		redistest.Pass(Every)
		p.Tick(Counts{})
	})
	text := readScreen(t, program, screen)
	off, line, on := strings.Index(text, noWrap), strings.Index(text, "connected"), strings.Index(text, wrap)
	if off < 0 || line < off || on < line {
		t.Errorf("%q", text)
	}
}
