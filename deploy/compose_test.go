package deploy_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// service has every key that docker-compose.yml uses; another one is an error,
// so that a misspelt key is found without a container engine.
type service struct {
	Image       string            `yaml:"image"`
	PullPolicy  string            `yaml:"pull_policy"`
	Build       map[string]string `yaml:"build"`
	User        string            `yaml:"user"`
	Command     []string          `yaml:"command"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Tmpfs       []string          `yaml:"tmpfs"`
	Ports       []string          `yaml:"ports"`
	Networks    []string          `yaml:"networks"`
	ReadOnly    bool              `yaml:"read_only"`
	CapDrop     []string          `yaml:"cap_drop"`
	SecurityOpt []string          `yaml:"security_opt"`
	Restart     string            `yaml:"restart"`
	Logging     map[string]any    `yaml:"logging"`
	MemLimit    string            `yaml:"mem_limit"`
	StopGrace   string            `yaml:"stop_grace_period"`
	Ulimits     struct {
		Nofile struct {
			Soft int `yaml:"soft"`
			Hard int `yaml:"hard"`
		} `yaml:"nofile"`
	} `yaml:"ulimits"`
	Healthcheck struct {
		Test        []string `yaml:"test"`
		Interval    string   `yaml:"interval"`
		Timeout     string   `yaml:"timeout"`
		StartPeriod string   `yaml:"start_period"`
		Retries     int      `yaml:"retries"`
	} `yaml:"healthcheck"`
}

type composeFile struct {
	Name     string             `yaml:"name"`
	Hardened map[string]any     `yaml:"x-hardened"`
	Gateway  map[string]any     `yaml:"x-gateway"`
	Services map[string]service `yaml:"services"`
	Networks map[string]struct {
		Internal bool `yaml:"internal"`
		IPAM     struct {
			Config []struct {
				Subnet string `yaml:"subnet"`
			} `yaml:"config"`
		} `yaml:"ipam"`
	} `yaml:"networks"`
	Volumes map[string]map[string]any `yaml:"volumes"`
}

func compose(t *testing.T) composeFile {
	t.Helper()
	dec := yaml.NewDecoder(bytes.NewReader([]byte(read(t, composePath))))
	dec.KnownFields(true)
	var c composeFile
	if err := dec.Decode(&c); err != nil {
		t.Fatalf("%s: %v", composePath, err)
	}
	return c
}

// gateways returns the names of the services that are gateways.
func (c composeFile) gateways() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.Services)), func(name string) bool {
		return !strings.HasPrefix(name, "gateway-")
	})
}

func TestComposeHasTheWholeThing(t *testing.T) {
	c := compose(t)
	got := slices.Sorted(maps.Keys(c.Services))
	want := []string{"gateway-1", "gateway-2", "gateway-3", "grafana", "haproxy", "prometheus", "redis"}
	if !slices.Equal(got, want) {
		t.Errorf("services are %v, want %v", got, want)
	}
}

func TestComposeMountsExist(t *testing.T) {
	c := compose(t)
	mounts := 0
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			source, rest, _ := strings.Cut(v, ":")
			if !strings.HasPrefix(source, "./") {
				if _, ok := c.Volumes[source]; !ok {
					t.Errorf("%s: volume %s is not declared", name, source)
				}
				continue
			}
			mounts++
			if !strings.HasSuffix(rest, ":ro") {
				t.Errorf("%s: %s is mounted to be written", name, source)
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(composePath), source)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, n := range s.Networks {
			if _, ok := c.Networks[n]; !ok {
				t.Errorf("%s: network %s is not declared", name, n)
			}
		}
		if f := s.Build["dockerfile"]; f != "" {
			if _, err := os.Stat(filepath.Join(filepath.Dir(composePath), s.Build["context"], f)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if mounts == 0 {
		t.Error("no file is mounted: the test looks in the wrong place")
	}
}

// pinned is an image with a version down to the patch, perhaps with a variant.
var pinned = regexp.MustCompile(`^[a-z0-9/_-]+:v?\d+\.\d+\.\d+(-[a-z0-9.]+)?$`)

func TestImagesArePinned(t *testing.T) {
	c := compose(t)
	builders := 0
	for name, s := range c.Services {
		if s.Build != nil {
			builders++
		}
		if strings.HasPrefix(name, "gateway-") {
			if s.Image != "sse-gateway:local" || (s.Build == nil) != (s.PullPolicy == "never") {
				t.Errorf("%s: image %s, pull_policy %s: must be the one that is built here", name, s.Image, s.PullPolicy)
			}
			continue
		}
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %s names no exact version", name, s.Image)
		}
	}
	if builders != 1 {
		t.Errorf("%d services build the image, want 1", builders)
	}
}

func TestComposeServicesAreHardened(t *testing.T) {
	for name, s := range compose(t).Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s is not hardened: read_only %v, cap_drop %v, security_opt %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
		if len(s.Healthcheck.Test) < 2 || s.Healthcheck.Test[0] != "CMD" {
			t.Errorf("%s: healthcheck %v is not a command without a shell", name, s.Healthcheck.Test)
		}
		if s.Ulimits.Nofile.Soft < 10_000 || s.MemLimit == "" || s.Restart == "" || s.Logging == nil {
			t.Errorf("%s: files %d, memory %q, restart %q, logging %v: all are to be set", name, s.Ulimits.Nofile.Soft, s.MemLimit, s.Restart, s.Logging)
		}
	}
}

func TestComposePublishesClientsOnly(t *testing.T) {
	c := compose(t)
	for name, s := range c.Services {
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond the loopback address", name, p)
			}
		}
		if (strings.HasPrefix(name, "gateway-") || name == "redis") && len(s.Ports) > 0 {
			t.Errorf("%s publishes %v", name, s.Ports)
		}
		for _, n := range s.Networks {
			if len(s.Ports) == 0 && !c.Networks[n].Internal {
				t.Errorf("%s publishes nothing but is on %s, which leads outside", name, n)
			}
			if n == "data" && name != "redis" && !strings.HasPrefix(name, "gateway-") {
				t.Errorf("%s can reach Redis", name)
			}
		}
	}
}

func TestComposeGateways(t *testing.T) {
	c := compose(t)
	if len(c.gateways()) != 3 {
		t.Fatalf("gateways are %v, want 3", c.gateways())
	}
	for _, name := range c.gateways() {
		s := c.Services[name]
		requireGatewayVariables(t, name, s.Environment)
		requireTimeToDrain(t, name, s.Environment, duration(t, name, s.StopGrace))
		// Only the load balancer's word on a client's address counts.
		if ipam := c.Networks["serving"].IPAM.Config; len(ipam) != 1 || s.Environment["SSE_TRUSTED_PROXIES"] != ipam[0].Subnet {
			t.Errorf("%s trusts %s, the load balancer is in %v", name, s.Environment["SSE_TRUSTED_PROXIES"], ipam)
		}
		if s.Environment["SSE_CONSOLE"] != "true" {
			t.Errorf("%s: the console is off", name)
		}
		if want := []string{"CMD", "/sse-gateway", "healthcheck"}; !slices.Equal(s.Healthcheck.Test, want) {
			t.Errorf("%s: healthcheck %v, want %v", name, s.Healthcheck.Test, want)
		}
	}
}

// The load balancer gets exactly the variables that its configuration reads,
// its names are services, and its own stop fits in the time it is given.
func TestComposeHAProxy(t *testing.T) {
	c := compose(t)
	s := c.Services["haproxy"]
	cfg := read(t, "haproxy/haproxy.cfg")
	var wanted []string
	for _, m := range regexp.MustCompile(`"\$\{([A-Z0-9_]+)\}"`).FindAllStringSubmatch(cfg, -1) {
		wanted = append(wanted, m[1])
	}
	slices.Sort(wanted)
	if got := slices.Sorted(maps.Keys(s.Environment)); !slices.Equal(got, slices.Compact(wanted)) {
		t.Errorf("variables set are %v, those read %v", got, slices.Compact(wanted))
	}
	for _, n := range []string{"1", "2", "3"} {
		if got, want := s.Environment["SSE_GATEWAY_"+n], "gateway-"+n+":8080"; got != want {
			t.Errorf("gateway %s is %s, want %s", n, got, want)
		}
	}
	hard := regexp.MustCompile(`hard-stop-after (\S+)`).FindStringSubmatch(cfg)
	if hard == nil {
		t.Fatal("haproxy.cfg has no hard-stop-after: it would wait for streams for ever")
	}
	if grace := duration(t, "haproxy", s.StopGrace); grace <= duration(t, "haproxy.cfg", hard[1]) {
		t.Errorf("stopped after %v, hard-stop-after is %s", grace, hard[1])
	}
	heartbeat := 15 * time.Second // the gateway's default; compose does not set it
	if idle := duration(t, "haproxy", s.Environment["SSE_LB_IDLE_TIMEOUT"]); idle < 2*heartbeat {
		t.Errorf("idle timeout %v is under two heartbeats", idle)
	}
}

// Where the Docker client has the compose plugin, it has the last word. The
// plugin is no Debian package, so its absence is no failure.
func TestComposeConfig(t *testing.T) {
	docker, err := exec.LookPath("docker")
	if err != nil {
		t.Log("no docker client: checked by the other tests only")
		return
	}
	if err := exec.Command(docker, "compose", "version").Run(); err != nil {
		t.Log("no compose plugin: checked by the other tests only")
		return
	}
	check(t, nil, docker, "compose", "-f", composePath, "config", "--quiet")
}
