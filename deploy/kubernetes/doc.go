// Package kubernetes holds the manifests beside it: both overlays are rendered as
// kubectl apply -k does it, and read strictly into the types of the Kubernetes API.
// The module is apart so that the gateway's own go.mod names none of these.
package kubernetes
