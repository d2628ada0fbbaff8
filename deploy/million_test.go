package deploy

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The run of a million streams in its small form: every step of it happens, and
// nobody loses anything while a replica is rolled. 3,000 streams, because each is
// two connections on this machine and the tests of other packages run beside; `make
// chaos` has 36,000 in two processes and two replicas.
func TestChaosMillion(t *testing.T) {
	t.Parallel()
	streams := "3000"
	if os.Getenv("SSE_CHAOS") == "long" {
		streams = "36000"
	}
	cmd := exec.CommandContext(t.Context(), "bench/million.sh")
	cmd.Env = append(os.Environ(), "STREAMS="+streams, "REPLICAS="+map[string]string{"3000": "2", "36000": "3"}[streams], "STAY=1s", "CALM=1s", "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"| streams | " + streams + " |", "of all replicas |", "an announcement to all", "resume while the rest stay",
		"| lost, late, repeated, out of order | 0, 0, 0, 0 |", "nothing lost, late, repeated or out of order",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the result lacks %q:\n%s", want, out)
		}
	}
	left, err := os.ReadDir(cmd.Env[len(cmd.Env)-1][len("TMPDIR="):])
	if err != nil || len(left) > 0 {
		t.Errorf("the run leaves %v, %v", left, err)
	}
}
