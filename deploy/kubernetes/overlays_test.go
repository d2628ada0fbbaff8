package kubernetes

import (
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
)

// The production overlay leaves only the Secret and the Ingress to its user.
func TestProduction(t *testing.T) {
	all := render(t, "production")
	requireWhole(t, all, "sse-gateway")
	for _, key := range []string{"HorizontalPodAutoscaler/sse-gateway", "NetworkPolicy/sse-gateway", "PodDisruptionBudget/sse-gateway", "ServiceMonitor/sse-gateway"} {
		if all[key] == nil {
			t.Errorf("there is no %s", key)
		}
	}
	if secrets := of[*corev1.Secret](all); len(secrets) > 0 {
		t.Errorf("it brings the secret %s", secrets[0].Name)
	}
	vars := variables(t, all)
	if vars["SSE_PUBLIC_CHANNELS"] == "**" || vars["SSE_CONSOLE"] != "" || vars["SSE_MAX_CONNECTIONS_PER_IP"] == "" {
		t.Errorf("it is open to all: %v", vars)
	}
	for _, d := range of[*appsv1.Deployment](all) {
		if d.Spec.Replicas != nil {
			t.Errorf("%s sets the replicas, which are the autoscaler's", d.Name)
		}
	}
}

// The overlay for trying out needs nothing that a cluster does not have.
func TestTry(t *testing.T) {
	all := render(t, "try")
	requireWhole(t, all)
	for key, object := range all {
		if kind, _, _ := strings.Cut(key, "/"); kind == "ServiceMonitor" || kind == "HorizontalPodAutoscaler" {
			t.Errorf("it has %s, which needs something installed", key)
		}
		if key != "Namespace/sse" && object.GetNamespace() != "sse" {
			t.Errorf("%s is in the namespace %q", key, object.GetNamespace())
		}
	}
	if n := len(of[*appsv1.Deployment](all)); n != 2 {
		t.Errorf("%d deployments, want the gateway's and Redis's", n)
	}
	secrets := of[*corev1.Secret](all)
	if len(secrets) != 1 {
		t.Fatalf("%d secrets, want 1", len(secrets))
	}
	host, _, _ := strings.Cut(strings.TrimPrefix(string(secrets[0].Data["redis-url"]), "redis://"), ":")
	if all["Service/"+host] == nil {
		t.Errorf("Redis is looked for at %q, which is no service", host)
	}
}

// requireWhole checks that the objects of an overlay fit together: what one names,
// another is. given are the Secrets that the user makes.
func requireWhole(t *testing.T, all rendered, given ...string) {
	t.Helper()
	for _, d := range of[*appsv1.Deployment](all) {
		requireRestricted(t, d)
		if !contains(d.Spec.Template.Labels, d.Spec.Selector.MatchLabels) {
			t.Errorf("%s does not select its own pods", d.Name)
		}
		for i := range d.Spec.Template.Spec.Containers {
			c := &d.Spec.Template.Spec.Containers[i]
			if err := all.hasReferences(c, given...); err != nil {
				t.Error(err)
			}
			if _, tag, ok := strings.Cut(c.Image, ":"); !ok || tag == "latest" {
				t.Errorf("%s has the image %s, of no version", d.Name, c.Image)
			}
		}
		if name := d.Spec.Template.Spec.ServiceAccountName; name != "" && all["ServiceAccount/"+name] == nil {
			t.Errorf("%s: there is no service account %s", d.Name, name)
		}
	}
	for _, s := range of[*corev1.Service](all) {
		ports := all.portsOf(s.Spec.Selector)
		for _, p := range s.Spec.Ports {
			if !slices.Contains(ports, p.TargetPort.StrVal) {
				t.Errorf("service %s leads to the port %s, its pods have %v", s.Name, p.TargetPort.String(), ports)
			}
		}
	}
	for _, p := range of[*networkingv1.NetworkPolicy](all) {
		if len(all.portsOf(p.Spec.PodSelector.MatchLabels)) == 0 {
			t.Errorf("network policy %s selects no pod", p.Name)
		}
	}
	for _, p := range of[*policyv1.PodDisruptionBudget](all) {
		if len(all.portsOf(p.Spec.Selector.MatchLabels)) == 0 {
			t.Errorf("disruption budget %s selects no pod", p.Name)
		}
	}
	for _, h := range of[*autoscalingv2.HorizontalPodAutoscaler](all) {
		if to := h.Spec.ScaleTargetRef; all[to.Kind+"/"+to.Name] == nil {
			t.Errorf("the autoscaler scales %s %s, which is not there", to.Kind, to.Name)
		}
	}
}

// portsOf returns the names of the ports of the pods that a selector selects.
func (all rendered) portsOf(selector map[string]string) (names []string) {
	for _, d := range of[*appsv1.Deployment](all) {
		if len(selector) == 0 || !contains(d.Spec.Template.Labels, selector) {
			continue
		}
		for _, c := range d.Spec.Template.Spec.Containers {
			for _, p := range c.Ports {
				names = append(names, p.Name)
			}
		}
	}
	return names
}

func contains(labels, some map[string]string) bool {
	both := maps.Clone(labels)
	maps.Copy(both, some)
	return maps.Equal(both, labels)
}

// requireRestricted checks what the pod security standard "restricted" asks for.
func requireRestricted(t *testing.T, d *appsv1.Deployment) {
	t.Helper()
	pod := d.Spec.Template.Spec
	if s := pod.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: the pod is not restricted", d.Name)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s has a token of the Kubernetes API", d.Name)
	}
	for _, c := range pod.Containers {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
			s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s: container %s is not restricted", d.Name, c.Name)
		}
		if c.Resources.Limits.Memory().IsZero() || !c.Resources.Limits.Cpu().IsZero() {
			t.Errorf("%s: limits %v, want memory and not cpu", d.Name, c.Resources.Limits)
		}
	}
}

// variables are those of the gateway that are no secret.
func variables(t *testing.T, all rendered) map[string]string {
	t.Helper()
	maps := of[*corev1.ConfigMap](all)
	if len(maps) != 1 || maps[0].Name == "sse-gateway" {
		t.Fatalf("config maps %v: want one whose name has a hash", maps)
	}
	return maps[0].Data
}
