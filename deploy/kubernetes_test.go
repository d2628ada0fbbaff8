package deploy_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sse-gateway/sse-gateway/store/redistest"
)

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

// manifest has of each kind of object what the tests look at.
type manifest struct {
	Kind     string `yaml:"kind"`
	Metadata struct {
		Name   string            `yaml:"name"`
		Labels map[string]string `yaml:"labels"`
	} `yaml:"metadata"`
	Spec struct {
		Replicas       *int      `yaml:"replicas"`
		MinReplicas    int       `yaml:"minReplicas"`
		MaxUnavailable int       `yaml:"maxUnavailable"`
		JobLabel       string    `yaml:"jobLabel"`
		Selector       yamlMap   `yaml:"selector"`
		PodSelector    yamlMap   `yaml:"podSelector"`
		Endpoints      []yamlMap `yaml:"endpoints"`
		Metrics        []struct {
			Pods struct {
				Metric struct{ Name string } `yaml:"metric"`
			} `yaml:"pods"`
		} `yaml:"metrics"`
		Strategy struct {
			RollingUpdate struct {
				MaxUnavailable *int `yaml:"maxUnavailable"`
			} `yaml:"rollingUpdate"`
		} `yaml:"strategy"`
		Template struct {
			Metadata struct {
				Labels map[string]string `yaml:"labels"`
			} `yaml:"metadata"`
			Spec podSpec `yaml:"spec"`
		} `yaml:"template"`
	} `yaml:"spec"`
}

type yamlMap = map[string]any

type podSpec struct {
	Grace      int     `yaml:"terminationGracePeriodSeconds"`
	Security   yamlMap `yaml:"securityContext"`
	Containers []struct {
		Image string `yaml:"image"`
		Ports []struct {
			Name string `yaml:"name"`
		} `yaml:"ports"`
		Env []struct {
			Name string `yaml:"name"`
		} `yaml:"env"`
		Startup   probe `yaml:"startupProbe"`
		Live      probe `yaml:"livenessProbe"`
		Ready     probe `yaml:"readinessProbe"`
		Lifecycle struct {
			PreStop struct {
				Sleep struct{ Seconds int }
			} `yaml:"preStop"`
		} `yaml:"lifecycle"`
		Security  yamlMap `yaml:"securityContext"`
		Resources struct {
			Limits map[string]string `yaml:"limits"`
		} `yaml:"resources"`
	} `yaml:"containers"`
}

type kustomization struct {
	Resources []string `yaml:"resources"`
	Images    []struct {
		Name   string `yaml:"name"`
		NewTag string `yaml:"newTag"`
	} `yaml:"images"`
	ConfigMaps []struct {
		Literals []string `yaml:"literals"`
	} `yaml:"configMapGenerator"`
}

// cluster returns the kustomization of production, joined with its base, and their
// manifests by kind and name. What they are when rendered is tested in kubernetes.
func cluster(t *testing.T) (kustomization, map[string]manifest) {
	t.Helper()
	var joined kustomization
	all := map[string]manifest{}
	for _, dir := range []string{"kubernetes/base", "kubernetes/production"} {
		var k kustomization
		decode(t, filepath.Join(dir, "kustomization.yaml"), &k)
		for _, r := range k.Resources {
			if r == "../base" {
				continue
			}
			for _, doc := range documents(t, filepath.Join(dir, r)) {
				var m manifest
				if err := doc.Decode(&m); err != nil {
					t.Fatalf("%s: %v", r, err)
				}
				all[m.Kind+"/"+m.Metadata.Name] = m
			}
		}
		joined.Resources = append(joined.Resources, k.Resources...)
		joined.Images = append(joined.Images, k.Images...)
		joined.ConfigMaps = append(joined.ConfigMaps, k.ConfigMaps...)
	}
	return joined, all
}

// Every manifest of the base and the overlays is applied.
func TestKustomizationsAreComplete(t *testing.T) {
	for _, dir := range []string{"base", "production", "try"} {
		var k kustomization
		decode(t, filepath.Join("kubernetes", dir, "kustomization.yaml"), &k)
		entries, err := os.ReadDir(filepath.Join("kubernetes", dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if name := e.Name(); name != "kustomization.yaml" && !slices.Contains(k.Resources, name) {
				t.Errorf("%s/%s is no resource", dir, name)
			}
		}
	}
	if k, _ := cluster(t); len(k.Images) != 1 || !strings.HasPrefix(k.Images[0].NewTag, "v") {
		t.Errorf("images %v: want one with a version", k.Images)
	}
}

func TestKubernetesDeployment(t *testing.T) {
	k, all := cluster(t)
	d := all["Deployment/sse-gateway"].Spec
	pod := d.Template.Spec
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers, want 1", len(pod.Containers))
	}
	c := pod.Containers[0]

	set := map[string]string{}
	for _, m := range k.ConfigMaps {
		for _, l := range m.Literals {
			name, value, _ := strings.Cut(l, "=")
			set[name] = value
		}
	}
	for _, e := range c.Env {
		set[e.Name] = ""
	}
	requireGatewayVariables(t, "kustomization", set)
	// The grace period runs from before the hook, the drain from after it.
	preStop := c.Lifecycle.PreStop.Sleep.Seconds
	requireTimeToDrain(t, "deployment", set, time.Duration(pod.Grace-preStop)*time.Second)
	if preStop < 5 {
		t.Errorf("preStop sleeps %d s: clients that still come while the pod is taken out would be refused", preStop)
	}
	if d.Replicas != nil {
		t.Error("the number of replicas is the autoscaler's")
	}
	if u := d.Strategy.RollingUpdate.MaxUnavailable; u == nil || *u != 0 {
		t.Error("a roll-out must not leave fewer replicas ready: maxUnavailable 0")
	}
	for name, p := range map[string]struct {
		probe
		path string
	}{"startup": {c.Startup, "/healthz"}, "liveness": {c.Live, "/healthz"}, "readiness": {c.Ready, "/readyz"}} {
		if p.HTTPGet.Path != p.path || p.HTTPGet.Port != "admin" {
			t.Errorf("%s probe asks %s on port %s, want %s on admin", name, p.HTTPGet.Path, p.HTTPGet.Port, p.path)
		}
	}
	if pod.Security["runAsNonRoot"] != true || c.Security["readOnlyRootFilesystem"] != true || c.Security["allowPrivilegeEscalation"] != false {
		t.Errorf("not hardened: %v, %v", pod.Security, c.Security)
	}
	if c.Resources.Limits["memory"] == "" || c.Resources.Limits["cpu"] != "" {
		t.Errorf("limits %v: want memory, and not cpu", c.Resources.Limits)
	}
	requireOneAddressBounded(t, "kustomization", set, mebibytes(t, "deployment", c.Resources.Limits["memory"]))
}

// An empty selector would take in every pod of the namespace.
func TestKubernetesSelectors(t *testing.T) {
	_, all := cluster(t)
	pod := all["Deployment/sse-gateway"].Spec.Template.Metadata.Labels
	if len(pod) == 0 {
		t.Fatal("the pods have no labels")
	}
	want := yamlMap{}
	for name, value := range pod {
		want[name] = value
	}
	for _, key := range []string{"Service/sse-gateway", "Service/sse-gateway-admin"} {
		if got := all[key].Spec.Selector; !maps.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", key, got, want)
		}
	}
	for _, key := range []string{"Deployment/sse-gateway", "PodDisruptionBudget/sse-gateway"} {
		if got, _ := all[key].Spec.Selector["matchLabels"].(yamlMap); !maps.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", key, got, want)
		}
	}
	if got, _ := all["NetworkPolicy/sse-gateway"].Spec.PodSelector["matchLabels"].(yamlMap); !maps.Equal(got, want) {
		t.Errorf("the network policy selects %v, want %v", got, want)
	}
}

// Prometheus finds the pods, by the job name that the alerts rely on, and the
// autoscaler asks for a series that there is.
func TestKubernetesMonitoring(t *testing.T) {
	_, all := cluster(t)
	monitor := all["ServiceMonitor/sse-gateway"].Spec
	admin := all["Service/sse-gateway-admin"].Metadata
	if admin.Labels[monitor.JobLabel] != "sse-gateway" {
		t.Errorf("the job is %q, the alerts know sse-gateway", admin.Labels[monitor.JobLabel])
	}
	wanted, _ := monitor.Selector["matchLabels"].(yamlMap)
	for name, value := range wanted {
		if admin.Labels[name] != value {
			t.Errorf("the monitor looks for %s=%v, the service has %q", name, value, admin.Labels[name])
		}
	}
	if len(wanted) < 2 {
		t.Errorf("the monitor selects by %v, which fits the service for clients too", wanted)
	}

	hpa := all["HorizontalPodAutoscaler/sse-gateway"].Spec
	if hpa.MinReplicas < 3 {
		t.Errorf("minReplicas %d", hpa.MinReplicas)
	}
	metric := hpa.Metrics[0].Pods.Metric.Name
	requireSeries(t, exportedSeries(t), "autoscaler", metric)
	if !strings.Contains(read(t, "kubernetes/prometheus-adapter.values.yaml"), "seriesQuery: "+metric+"{") {
		t.Errorf("prometheus-adapter does not answer for %s", metric)
	}
}

// annotations returns those of an Ingress.
func annotations(t *testing.T, path string) map[string]string {
	t.Helper()
	var ingress struct {
		Metadata struct {
			Annotations map[string]string `yaml:"annotations"`
		} `yaml:"metadata"`
	}
	decode(t, path, &ingress)
	return ingress.Metadata.Annotations
}

// The programs that the snippets are for read them, and, without a gateway, tell
// an EventSource to come back after a random time, and others 503.
func TestIngressSnippets(t *testing.T) {
	snippet := annotations(t, "kubernetes/ingress-haproxy.example.yaml")["haproxy.org/backend-config-snippet"]
	if snippet == "" {
		t.Error("no snippet for HAProxy")
	}
	addr := redistest.FreeAddr(t)
	start(t, nil, redistest.Command(t, "haproxy", "haproxy"), "-db", "-f", writeTemp(t, "haproxy.cfg", `
defaults
 mode http
 timeout connect 1s
 timeout client 1s
 timeout server 1s
listen gateways
 bind `+addr+`
`+snippet))
	requirePassingAnswers(t, addr)

	all := annotations(t, "kubernetes/ingress-nginx.example.yaml")
	server, location := all["nginx.ingress.kubernetes.io/server-snippet"], all["nginx.ingress.kubernetes.io/configuration-snippet"]
	if server == "" || location == "" {
		t.Error("no snippets for nginx")
	}
	addr, nobody := redistest.FreeAddr(t), redistest.FreeAddr(t)
	start(t, nil, redistest.Command(t, "nginx", "nginx"), "-e", "stderr", "-g", "daemon off;", "-c", writeTemp(t, "nginx.conf", `
pid `+filepath.Join(t.TempDir(), "pid")+`;
events {}
http { access_log off; server { listen `+addr+`; `+server+` location / { `+location+` proxy_pass http://`+nobody+`; } } }
`))
	requirePassingAnswers(t, addr)
}

// requirePassingAnswers asks a load balancer that has no gateway.
func requirePassingAnswers(t *testing.T, addr string) {
	t.Helper()
	waitListening(t, addr)
	retries := map[string]bool{}
	for range 5 {
		res := get(t, "http://"+addr, 1, "text/event-stream")
		body, err := io.ReadAll(res.Body)
		kind := res.Header.Get("Content-Type")
		if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
			t.Fatalf("%s, %s, %v", res.Status, kind, err)
		}
		requireRetry(t, bytes.NewReader(body))
		retries[string(body)] = true
	}
	if len(retries) < 2 {
		t.Errorf("all clients are told to come back at one time: %v", retries)
	}
	if res := get(t, "http://"+addr, 1, "*/*"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("who is no EventSource gets %s, want 503", res.Status)
	}
}
