package redisurl_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sse-gateway/sse-gateway/store/redisurl"
)

// passwordFile returns the name of a new file.
func passwordFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "redis-password")
	write(t, name, content)
	return name
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCredentialsOutsideURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, username, content, wantUser, wantPassword string }{
		{"redis://h", "", "pw", "", "pw"},
		{"redis://h", "bob", "pw\n", "bob", "pw"},
		{"redis://h", "bob", "pw\r\n", "bob", "pw"},
		{"redis://h", "", "pw\n\n", "", "pw\n"},
		{"redis://h", "", "pw\r", "", "pw\r"},
		{"redis://h", "", " p w ", "", " p w "},
		{"redis://bob:@h", "", "pw", "bob", "pw"},
		{"redis://:pw@h", "bob", "", "bob", "pw"},
		{"redis://bob:pw@h", "", "", "bob", "pw"},
		{"redis://h", "", "", "", ""},
	} {
		a, err := redisurl.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		file := ""
		if tt.content != "" {
			file = passwordFile(t, tt.content)
		}
		if err := a.SetCredentials(tt.username, file); err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		username, password, err := a.Credentials(t.Context())
		if err != nil || username != tt.wantUser || password != tt.wantPassword {
			t.Errorf("%+v: %q, %q, %v", tt, username, password, err)
		}
	}
}

func TestCredentialErrors(t *testing.T) {
	t.Parallel()
	good, empty, newline := passwordFile(t, "hunter2"), passwordFile(t, ""), passwordFile(t, "\n")
	for _, tt := range []struct{ url, username, file, want string }{
		{"redis://bob:@h", "bob", good, "the user name is in the URL as well"},
		{"redis://:hunter2@h", "bob", good, "the password is in the URL as well"},
		{"redis://h", "bob", "", "needs a password"},
		{"redis://h", "", "/nonexistent/password", "/nonexistent/password"},
		{"redis://h", "", t.TempDir(), "is a directory"},
		{"redis://h", "", empty, empty + " is empty"},
		{"redis://h", "", newline, newline + " is empty"},
	} {
		a, err := redisurl.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		err = a.SetCredentials(tt.username, tt.file)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestPasswordFileGone: what is wrong with the file is known at each connection.
func TestPasswordFileGone(t *testing.T) {
	t.Parallel()
	a, err := redisurl.Parse("redis://h")
	if err != nil {
		t.Fatal(err)
	}
	file := passwordFile(t, "hunter2")
	if err := a.SetCredentials("bob", file); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if username, password, err := a.Credentials(t.Context()); err == nil || username+password != "" || !strings.Contains(err.Error(), file) {
		t.Errorf("%q, %q, %v", username, password, err)
	}
	write(t, file, "new")
	if _, password, err := a.Credentials(t.Context()); password != "new" {
		t.Errorf("%q, %v", password, err)
	}
}
