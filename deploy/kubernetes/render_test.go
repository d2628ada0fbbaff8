package kubernetes

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/openapi"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// types has an empty object of each kind that there is, by apiVersion and kind.
var types = map[string]func() metav1.Object{
	"v1 Namespace":                            func() metav1.Object { return &corev1.Namespace{} },
	"v1 Secret":                               func() metav1.Object { return &corev1.Secret{} },
	"v1 ConfigMap":                            func() metav1.Object { return &corev1.ConfigMap{} },
	"v1 Service":                              func() metav1.Object { return &corev1.Service{} },
	"v1 ServiceAccount":                       func() metav1.Object { return &corev1.ServiceAccount{} },
	"apps/v1 Deployment":                      func() metav1.Object { return &appsv1.Deployment{} },
	"policy/v1 PodDisruptionBudget":           func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() metav1.Object { return &networkingv1.NetworkPolicy{} },
	"networking.k8s.io/v1 Ingress":            func() metav1.Object { return &networkingv1.Ingress{} },
	"autoscaling/v2 HorizontalPodAutoscaler":  func() metav1.Object { return &autoscalingv2.HorizontalPodAutoscaler{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() metav1.Object { return &monitoringv1.ServiceMonitor{} },
}

// parse reads a manifest strictly: a field that the API does not have, a value of
// another type, a field twice, or a field that is required and absent is an error.
func parse(manifest []byte) (kind string, object metav1.Object, err error) {
	var is metav1.TypeMeta
	if err := yaml.Unmarshal(manifest, &is); err != nil {
		return "", nil, err
	}
	newObject := types[is.APIVersion+" "+is.Kind]
	if newObject == nil {
		return "", nil, fmt.Errorf("%s %s: the test does not know this kind", is.APIVersion, is.Kind)
	}
	object = newObject()
	if err := yaml.UnmarshalStrict(manifest, object); err != nil {
		return "", nil, fmt.Errorf("%s: %w", is.Kind, err)
	}
	node, err := kyaml.Parse(string(manifest))
	if err != nil {
		return "", nil, err
	}
	// The schema that kustomize brings is older than some kinds; those have types only.
	schema := openapi.SchemaForResourceType(kyaml.TypeMeta{APIVersion: is.APIVersion, Kind: is.Kind})
	if err := requireFields(node, schema, is.Kind); err != nil {
		return "", nil, err
	}
	return is.Kind, object, nil
}

// requireFields checks that a node has all fields that its schema requires, and so on
// for what is in it.
func requireFields(node *kyaml.RNode, schema *openapi.ResourceSchema, path string) error {
	if schema == nil || node.IsNilOrEmpty() {
		return nil
	}
	switch node.YNode().Kind {
	case kyaml.MappingNode:
		for _, name := range schema.Schema.Required {
			if node.Field(name) == nil {
				return fmt.Errorf("%s: %s is required", path, name)
			}
		}
		return node.VisitFields(func(field *kyaml.MapNode) error {
			name := field.Key.YNode().Value
			return requireFields(field.Value, schema.Field(name), path+"."+name)
		})
	case kyaml.SequenceNode:
		elements := schema.Elements()
		return node.VisitElements(func(e *kyaml.RNode) error { return requireFields(e, elements, path+"[]") })
	}
	return nil
}

// rendered are the objects of an overlay by kind and name.
type rendered map[string]metav1.Object

// render renders an overlay as kubectl apply -k does.
func render(t *testing.T, overlay string) rendered {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), overlay)
	if err != nil {
		t.Fatal(err)
	}
	all := make(rendered)
	for _, r := range resources.Resources() {
		manifest, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		kind, object, err := parse(manifest)
		if err != nil {
			t.Errorf("%s: %v", overlay, err)
			continue
		}
		key := kind + "/" + object.GetName()
		if all[key] != nil {
			t.Errorf("%s: %s is there twice", overlay, key)
		}
		all[key] = object
	}
	if len(all) < 6 {
		t.Fatalf("%s: only %d objects", overlay, len(all))
	}
	return all
}

// of returns the objects of one type.
func of[T metav1.Object](all rendered) (some []T) {
	for _, o := range all {
		if v, ok := o.(T); ok {
			some = append(some, v)
		}
	}
	return some
}

// Whatever stands beside the overlays to be copied is read by the same rules.
func TestExamplesAreValid(t *testing.T) {
	checked := 0
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".example.yaml") {
			continue
		}
		text, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := parse(text); err != nil {
			t.Errorf("%s: %v", e.Name(), err)
		}
		checked++
	}
	if checked < 3 {
		t.Errorf("only %d examples: the test looks in the wrong place", checked)
	}
}

// The rules find what is wrong.
func TestWrongManifestsAreFound(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec:\n  ports:\n    - "
	if _, _, err := parse([]byte(service + "{name: http, port: 80}\n")); err != nil {
		t.Errorf("a good one: %v", err)
	}
	for name, text := range map[string]string{
		"misspelt field": service + "{name: http, prot: 80, port: 80}\n",
		"wrong type":     service + "{name: http, port: eighty}\n",
		"field twice":    service + "{name: http, port: 80, port: 81}\n",
		"missing field":  service + "{name: http}\n",
		"unknown kind":   "apiVersion: v1\nkind: Servise\nmetadata: {name: a}\n",
	} {
		if _, _, err := parse([]byte(text)); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

// hasReferences checks that what a container takes from ConfigMaps and Secrets is
// there; given are the Secrets that the user makes.
func (all rendered) hasReferences(c *corev1.Container, given ...string) error {
	var missing []error
	need := func(kind, name string) {
		if all[kind+"/"+name] == nil && !(kind == "Secret" && strings.Contains(strings.Join(given, " "), name)) {
			missing = append(missing, fmt.Errorf("container %s needs %s %s, which is not there", c.Name, kind, name))
		}
	}
	for _, from := range c.EnvFrom {
		if from.ConfigMapRef != nil {
			need("ConfigMap", from.ConfigMapRef.Name)
		}
		if from.SecretRef != nil {
			need("Secret", from.SecretRef.Name)
		}
	}
	for _, env := range c.Env {
		if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil {
			need("Secret", env.ValueFrom.SecretKeyRef.Name)
		}
	}
	return errors.Join(missing...)
}
