package deploy_test

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composePath is where the compose file lies, seen from this package. Paths in
// it are relative to its directory.
const composePath = "../docker-compose.yml"

// documents returns the YAML documents of a file.
func documents(t *testing.T, path string) []*yaml.Node {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var docs []*yaml.Node
	for dec := yaml.NewDecoder(f); ; {
		var n yaml.Node
		switch err := dec.Decode(&n); {
		case errors.Is(err, io.EOF):
			return docs
		case err != nil:
			t.Fatalf("%s: %v", path, err)
		}
		// Decoding once more into a value finds keys that occur twice.
		var v any
		if err := n.Decode(&v); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		docs = append(docs, &n)
	}
}

// decode reads the only document of a file into v.
func decode(t *testing.T, path string, v any) {
	t.Helper()
	docs := documents(t, path)
	if len(docs) != 1 {
		t.Fatalf("%s: %d documents, want 1", path, len(docs))
	}
	if err := docs[0].Decode(v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// files lists the files of this directory with one of the extensions.
func files(t *testing.T, extensions ...string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, ext := range extensions {
			if filepath.Ext(path) == ext {
				found = append(found, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatalf("no file ends in %v", extensions)
	}
	return found
}

func TestEveryFileParses(t *testing.T) {
	for _, path := range append(files(t, ".yml", ".yaml"), composePath) {
		if len(documents(t, path)) == 0 {
			t.Errorf("%s is empty", path)
		}
	}
	for _, path := range files(t, ".json") {
		if !json.Valid([]byte(read(t, path))) {
			t.Errorf("%s is not JSON", path)
		}
	}
}
