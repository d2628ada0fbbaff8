package gatewaytest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Who asks again gets the same file, which is not written again: it may run.
func TestBuildIsDoneOnce(t *testing.T) {
	var paths [2]string
	var infos [2]os.FileInfo
	for i := range paths {
		var err error
		if paths[i], err = Build("cmd/sse-gateway", false); err != nil {
			t.Fatal(err)
		}
		if infos[i], err = os.Stat(paths[i]); err != nil {
			t.Fatal(err)
		}
	}
	if paths[0] != paths[1] || !os.SameFile(infos[0], infos[1]) {
		t.Errorf("built twice: %v", paths)
	}
	out, err := exec.Command(paths[0], "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "sse-gateway") {
		t.Errorf("version: %v\n%s", err, out)
	}
}

func TestBuildTellsWhatIsWrong(t *testing.T) {
	if path, err := Build("cmd/none", false); err == nil || !strings.Contains(err.Error(), "cmd/none") {
		t.Errorf("got %q, %v", path, err)
	}
}
