// Package certificate has the certificate of the public port.
package certificate

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are the files of a certificate and its key, which are read again when they
// change, so that a renewal needs no restart. Methods may be called concurrently.
type Files struct {
	certFile, keyFile string
	log               *slog.Logger

	// mu guards the rest. Invariant: pair is the newest that could be read.
	mu      sync.Mutex
	pair    *tls.Certificate
	tried   versions // of the files when they were read last
	checked time.Time
}

// versions tell whether the two files are what they were.
type versions [2]struct {
	modified time.Time
	size     int64
}

// checkEvery is how often the files are looked at, at most: a handshake flood
// must not become a flood of system calls.
const checkEvery = time.Second

// Open reads the two files. log has each later change. The error is that of Check.
func Open(certFile, keyFile string, log *slog.Logger) (*Files, error) {
	c := &Files{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := c.refresh(); err != nil {
		return nil, checkError(certFile, keyFile, err)
	}
	return c, nil
}

// Check reports whether two files are a certificate and its key. The error names the
// variables and the cause.
func Check(certFile, keyFile string) error {
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		return checkError(certFile, keyFile, err)
	}
	return nil
}

func checkError(certFile, keyFile string, err error) error {
	return fmt.Errorf("SSE_TLS_CERT_FILE=%q, SSE_TLS_KEY_FILE=%q: %w; accepted are a PEM certificate chain and its PEM key", certFile, keyFile, err)
}

// Get is a tls.Config.GetCertificate. It looks at the files first, unless they
// were looked at less than checkEvery ago.
func (c *Files) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= checkEvery {
		c.check()
	}
	return c.pair, nil
}

// Reload reads the files at once, whether or not they seem to have changed.
func (c *Files) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried = versions{}
	c.check()
}

// check reads the files if they changed. Files that cannot be read, or do not
// fit together while they are being replaced, leave the certificate as it was.
// The caller holds mu.
func (c *Files) check() {
	c.checked = time.Now()
	switch changed, err := c.refresh(); {
	case err != nil && changed:
		c.log.Warn("the new certificate cannot be used, the old one stays", "cert_file", c.certFile, "key_file", c.keyFile, "error", err)
	case changed:
		c.log.Info("the certificate was replaced", "cert_file", c.certFile)
	}
}

// refresh reads the files if they changed since it last did. Their versions are
// taken first, so that a change during the reading is seen the next time. Files
// that are missing count as a change once.
func (c *Files) refresh() (changed bool, err error) {
	now, statErr := c.stat()
	if now == c.tried && c.pair != nil {
		return false, statErr
	}
	c.tried = now
	if statErr != nil {
		return true, statErr
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return true, err
	}
	c.pair = &pair
	return true, nil
}

// stat returns the zero versions with an error.
func (c *Files) stat() (versions, error) {
	var s versions
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return versions{}, err
		}
		s[i].modified, s[i].size = info.ModTime(), info.Size()
	}
	return s, nil
}
