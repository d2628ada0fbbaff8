package listener

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificates is a certificate that is read again when its files change, so
// that a renewal needs no restart.
type Certificates struct {
	certFile, keyFile string
	log               *slog.Logger

	// mu guards the rest. Invariant: pair is the newest that could be read.
	mu       sync.Mutex
	pair     *tls.Certificate
	versions fileVersions // of the files when they were tried last
	checked  time.Time
}

// fileVersions tell whether the two files are what they were.
type fileVersions [2]struct {
	modified time.Time
	size     int64
}

// checkEvery is how often the files are looked at, at most: a handshake flood
// must not become a flood of system calls.
const checkEvery = time.Second

// NewCertificates reads the two files. log has each later change.
func NewCertificates(certFile, keyFile string, log *slog.Logger) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := c.refresh(); err != nil {
		return nil, certificateError(certFile, keyFile, err)
	}
	return c, nil
}

// CheckCertificate reports whether two files are a certificate and its key.
func CheckCertificate(certFile, keyFile string) error {
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		return certificateError(certFile, keyFile, err)
	}
	return nil
}

func certificateError(certFile, keyFile string, err error) error {
	return fmt.Errorf("SSE_TLS_CERT_FILE=%q, SSE_TLS_KEY_FILE=%q: %w; accepted are a PEM certificate chain and its PEM key", certFile, keyFile, err)
}

// Get is a tls.Config.GetCertificate. It looks at the files first, unless they
// were looked at less than checkEvery ago.
func (c *Certificates) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= checkEvery {
		c.check()
	}
	return c.pair, nil
}

// Reload reads the files at once, whether or not they seem to have changed.
func (c *Certificates) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions = fileVersions{}
	c.check()
}

// check reads the files if they changed. Files that cannot be read, or do not
// fit together while they are being replaced, leave the certificate as it was.
// The caller holds mu.
func (c *Certificates) check() {
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
func (c *Certificates) refresh() (changed bool, err error) {
	now, statErr := c.stat()
	if now == c.versions && c.pair != nil {
		return false, statErr
	}
	c.versions = now
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

// stat returns the zero fileVersions with an error.
func (c *Certificates) stat() (fileVersions, error) {
	var s fileVersions
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fileVersions{}, err
		}
		s[i].modified, s[i].size = info.ModTime(), info.Size()
	}
	return s, nil
}
