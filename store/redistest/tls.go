package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TLSFiles are the PEM files of a certificate authority made for one test, of a
// server certificate for 127.0.0.1, ::1 and localhost, and of a client
// certificate.
type TLSFiles struct {
	CAFile         string
	ServerCertFile string
	ServerKeyFile  string
	ClientCertFile string
	ClientKeyFile  string

	client *tls.Config
}

// NewTLSFiles makes a new authority and its certificates in a temporary
// directory of t. Two of them do not trust each other.
func NewTLSFiles(t testing.TB) *TLSFiles {
	t.Helper()
	dir := t.TempDir()
	f := &TLSFiles{
		CAFile:         filepath.Join(dir, "ca.crt"),
		ServerCertFile: filepath.Join(dir, "server.crt"),
		ServerKeyFile:  filepath.Join(dir, "server.key"),
		ClientCertFile: filepath.Join(dir, "client.crt"),
		ClientKeyFile:  filepath.Join(dir, "client.key"),
	}
	ca := issue(t, nil, certificate("redistest CA"))
	// A server is also a client: of its master, and on the cluster bus.
	serverTemplate := certificate("redistest server", x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	serverTemplate.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	serverTemplate.DNSNames = []string{"localhost"}
	server := issue(t, ca, serverTemplate)
	client := issue(t, ca, certificate("redistest client", x509.ExtKeyUsageClientAuth))

	writePEM(t, f.CAFile, "CERTIFICATE", ca.cert.Raw)
	writePEM(t, f.ServerCertFile, "CERTIFICATE", server.cert.Raw)
	writePEM(t, f.ServerKeyFile, "PRIVATE KEY", server.pkcs8(t))
	writePEM(t, f.ClientCertFile, "CERTIFICATE", client.cert.Raw)
	writePEM(t, f.ClientKeyFile, "PRIVATE KEY", client.pkcs8(t))

	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	f.client = &tls.Config{
		MinVersion:   tls.VersionTLS12,
		RootCAs:      roots,
		Certificates: []tls.Certificate{{Certificate: [][]byte{client.cert.Raw}, PrivateKey: client.key}},
	}
	return f
}

// ClientConfig returns a configuration that trusts the authority and shows the
// client certificate. Each call returns a copy of its own.
func (f *TLSFiles) ClientConfig() *tls.Config { return f.client.Clone() }

// serverLines are the directives of a server that speaks TLS only, on port, and
// asks its clients for a certificate.
func (f *TLSFiles) serverLines() []string {
	return []string{
		"tls-cert-file " + quote(f.ServerCertFile),
		"tls-key-file " + quote(f.ServerKeyFile),
		"tls-ca-cert-file " + quote(f.CAFile),
		"tls-auth-clients yes",
		"tls-replication yes",
	}
}

type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certificate returns a template; without a usage it is that of an authority.
func certificate(name string, usages ...x509.ExtKeyUsage) *x509.Certificate {
	c := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           usages,
		BasicConstraintsValid: true,
	}
	if len(usages) == 0 {
		c.IsCA = true
		c.KeyUsage = x509.KeyUsageCertSign
	}
	return c
}

// issue makes a key and a certificate for it, signed by ca or, if that is nil,
// by itself.
func issue(t testing.TB, ca *issued, template *x509.Certificate) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a TLS key: %v", err)
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatalf("making a certificate's serial number: %v", err)
	}
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatalf("making the certificate %q: %v", template.Subject.CommonName, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("reading the certificate %q back: %v", template.Subject.CommonName, err)
	}
	return &issued{cert: cert, key: key}
}

func (i *issued) pkcs8(t testing.TB) []byte {
	t.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		t.Fatalf("encoding a TLS key: %v", err)
	}
	return b
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatalf("writing a TLS file: %v", err)
	}
}
