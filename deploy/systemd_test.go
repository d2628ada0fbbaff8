package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

const unitPath = "systemd/sse-gateway.service"

// setting returns the last value of a directive of the unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	all := regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(unit, -1)
	if len(all) == 0 {
		t.Fatalf("%s has no %s", unitPath, name)
	}
	return all[len(all)-1][1]
}

func TestSystemdUnit(t *testing.T) {
	unit := read(t, unitPath)
	set := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_0-9]+)=(.*)$`).FindAllStringSubmatch(read(t, "systemd/sse-gateway.env.example"), -1) {
		set[m[1]] = m[2]
	}
	requireGatewayVariables(t, "sse-gateway.env.example", set)
	requireTimeToDrain(t, unitPath, set, duration(t, unitPath, setting(t, unit, "TimeoutStopSec")))

	requireOneAddressBounded(t, "sse-gateway.env.example", set, mebibytes(t, "sse-gateway.env.example", set["GOMEMLIMIT"]))

	for name, want := range map[string]string{
		"KillSignal": "SIGTERM", "DynamicUser": "yes", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
		"CapabilityBoundingSet": "", "Restart": "always",
	} {
		if got := setting(t, unit, name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	setting(t, unit, "LimitNOFILE")
	// 2 is also how a Go program ends that crashed: whatever the status, it has
	// to be started again, however often it was before.
	if strings.Contains(unit, "\nRestartPreventExitStatus=") {
		t.Error("RestartPreventExitStatus: a gateway that crashed would stay down")
	}
	if limit := setting(t, unit, "StartLimitIntervalSec"); limit != "0" {
		t.Errorf("StartLimitIntervalSec=%s, want 0: systemd gives up otherwise", limit)
	}
}

// systemd reports a directive that it does not know, or cannot read, on its
// standard error only.
func TestSystemdReadsTheUnit(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The program that it starts has to exist.
	unit := strings.Replace(read(t, unitPath), "ExecStart=/usr/local/bin/sse-gateway", "ExecStart="+self, 1)
	path := writeTemp(t, filepath.Base(unitPath), unit)
	out := check(t, []string{"SYSTEMD_LOG_LEVEL=warning"}, redistest.Command(t, "systemd-analyze", "systemd"), "verify", "--man=no", path)
	if strings.Contains(out, filepath.Base(unitPath)) {
		t.Errorf("systemd complains:\n%s", out)
	}
}
