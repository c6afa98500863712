package publish_test

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
	"sync"
	"time"
)

// Certificates are good from born to dead. Virtual time begins in the year 2000.
var (
	notBefore = time.Date(1999, time.January, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(2099, time.January, 1, 0, 0, 0, 0, time.UTC)
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// trusted is the authority that this process trusts, the only one.
var trusted = sync.OnceValue(func() *authority { return newAuthority("trusted") })

func newAuthority(name string) *authority {
	a := &authority{key: newKey()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: notBefore, NotAfter: notAfter, KeyUsage: x509.KeyUsageCertSign,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, // so that it can sign for itself
	}
	data, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	if a.cert, err = x509.ParseCertificate(data); err != nil {
		panic(err)
	}
	return a
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// write writes a's certificate into a file of dir and returns its path.
func (a *authority) write(dir string) string {
	path := filepath.Join(dir, a.cert.Subject.CommonName+".pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}), 0o600); err != nil {
		panic(err)
	}
	return path
}

// issue makes a certificate for the loopback address and localhost. change may make it a bad one; it may be nil.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: notBefore, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	data, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{data}, PrivateKey: key}
}

// trustedConfig is that of a server whose certificate is good.
func trustedConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{trusted().issue(nil)}}
}

// serveTLS returns a meet that speaks TLS by config.
func serveTLS(config *tls.Config) func(int, net.Conn) net.Conn {
	return func(_ int, conn net.Conn) net.Conn { return tls.Server(conn, config) }
}
