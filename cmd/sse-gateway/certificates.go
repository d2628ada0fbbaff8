package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates is a certificate that is read again when its files change, so
// that a renewal needs no restart.
type certificates struct {
	certFile, keyFile string
	log               *slog.Logger

	// mu guards the rest. Invariant: pair is the newest that could be read.
	mu      sync.Mutex
	pair    *tls.Certificate
	stamps  stamps // of the files when they were tried last
	checked time.Time
}

// stamps tell whether the two files are what they were.
type stamps [2]struct {
	modified time.Time
	size     int64
}

// checkEvery is how often the files are looked at, at most: a handshake flood
// must not become a flood of system calls.
const checkEvery = time.Second

func newCertificates(certFile, keyFile string, log *slog.Logger) (*certificates, error) {
	c := &certificates{certFile: certFile, keyFile: keyFile, log: log}
	if _, err := c.refresh(); err != nil {
		return nil, certificateError(certFile, keyFile, err)
	}
	return c, nil
}

// checkCertificate reports whether two files are a certificate and its key.
func checkCertificate(certFile, keyFile string) error {
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		return certificateError(certFile, keyFile, err)
	}
	return nil
}

func certificateError(certFile, keyFile string, err error) error {
	return fmt.Errorf("SSE_TLS_CERT_FILE=%q, SSE_TLS_KEY_FILE=%q: %w; accepted are a PEM certificate chain and its PEM key", certFile, keyFile, err)
}

// get is a tls.Config.GetCertificate. It looks at the files first, unless they
// were looked at less than checkEvery ago.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) >= checkEvery {
		c.check()
	}
	return c.pair, nil
}

// reload reads the files at once, whether or not they seem to have changed.
func (c *certificates) reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stamps = stamps{}
	c.check()
}

// check reads the files if they changed. Files that cannot be read, or do not
// fit together while they are being replaced, leave the certificate as it was.
// The caller holds mu.
func (c *certificates) check() {
	c.checked = time.Now()
	switch changed, err := c.refresh(); {
	case err != nil && changed:
		c.log.Warn("the new certificate cannot be used, the old one stays", "cert_file", c.certFile, "key_file", c.keyFile, "error", err)
	case changed:
		c.log.Info("the certificate was replaced", "cert_file", c.certFile)
	}
}

// refresh reads the files if they changed since it last did. Their stamps are
// taken first, so that a change during the reading is seen the next time. Files
// that are missing count as a change once.
func (c *certificates) refresh() (changed bool, err error) {
	now, statErr := c.stat()
	if now == c.stamps && c.pair != nil {
		return false, statErr
	}
	c.stamps = now
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

// stat returns the zero stamps with an error.
func (c *certificates) stat() (stamps, error) {
	var s stamps
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return stamps{}, err
		}
		s[i].modified, s[i].size = info.ModTime(), info.Size()
	}
	return s, nil
}
