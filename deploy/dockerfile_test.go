package deploy_test

import (
	"regexp"
	"strings"
	"testing"
)

func TestDockerfile(t *testing.T) {
	file := read(t, "Dockerfile")
	stages := regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`).FindAllStringSubmatch(file, -1)
	if len(stages) < 2 {
		t.Fatalf("%d stages, want one to build and one to run", len(stages))
	}
	for _, s := range stages[:len(stages)-1] {
		if !pinned.MatchString(s[1]) {
			t.Errorf("image %s names no exact version", s[1])
		}
	}
	if last := stages[len(stages)-1][1]; last != "scratch" {
		t.Errorf("the last stage begins with %s, not with nothing", last)
	}

	last := file[strings.LastIndex(file, "\nFROM "):]
	for _, want := range []string{
		`(?m)^USER \d+:\d+$`,
		`(?m)^ENTRYPOINT \["/sse-gateway"\]$`,
		`(?ms)^HEALTHCHECK .*CMD \["/sse-gateway", "healthcheck"\]$`,
	} {
		if !regexp.MustCompile(want).MatchString(last) {
			t.Errorf("the last stage has no %s", want)
		}
	}
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "./cmd/sse-gateway"} {
		if !strings.Contains(file, want) {
			t.Errorf("the build lacks %s", want)
		}
	}

	// The toolchain is not older than the module asks for.
	need := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))
	if need == nil || !strings.Contains(file, "golang:"+need[1]+".") {
		t.Errorf("the build image is not Go %v, which go.mod asks for", need)
	}
}
