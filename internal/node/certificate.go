package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
)

// Certificate is the pair of certificate and key that the gateway serves. It reads the files again when they change,
// and keeps the old pair if the new one cannot be used. It reports the pair that is served, never the one in the files.
type Certificate struct {
	cert, key string // files
	host      string // host name of the site, for which browsers and devices check the certificate
	log       *slog.Logger
	now       func() time.Time

	mu     sync.Mutex // guards what follows
	seen   string     // the files at the last look, see stamp
	again  time.Time  // refused files are read again after this, even if unchanged
	served *tls.Certificate
	failed error // why the pair in the files is not served; nil: it is
}

// certificateEvery is how often the files are checked without a handshake, and how soon refused ones are tried again.
const certificateEvery = 10 * time.Second

// openCertificate loads the pair of a configuration; nil where TLS ends at a proxy. Files that cannot be used keep the
// gateway from starting.
func openCertificate(c *config.Config, log *slog.Logger) (*Certificate, error) {
	if c.TLS.Mode == "behind-proxy" {
		return nil, nil
	}
	if c.TLS.Mode == "self" {
		if err := selfSigned(filepath.Join(c.Site.DataDir, "tls"), c.Site.URL); err != nil {
			return nil, fmt.Errorf("[tls] self: %w", err)
		}
	}
	cert, key := certificateFiles(c)
	f := &Certificate{cert: cert, key: key, log: log, now: time.Now}
	if u, err := url.Parse(c.Site.URL); err == nil {
		f.host = u.Hostname()
	}
	if _, err := f.get(nil); err != nil {
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("[tls] %s with %s: %v", cert, key, err)).
			WithHint("Both must be in PEM form: cert is the chain with the server's own certificate first, " +
				"key is the private key that belongs to it.")
	}
	return f, nil
}

// certificateFiles names the files of a configuration that ends TLS itself.
func certificateFiles(c *config.Config) (cert, key string) {
	if c.TLS.Mode == "self" {
		dir := filepath.Join(c.Site.DataDir, "tls")
		return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	}
	return c.TLS.Cert, c.TLS.Key
}

// TLS gives the configuration of a server that serves the pair: TLS 1.2 or later, with HTTP/1.1 only.
func (f *Certificate) TLS() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: f.get, NextProtos: []string{"http/1.1"}}
}

func (f *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	if f.served == nil {
		return nil, f.failed
	}
	return f.served, nil
}

// Served gives the certificate that handshakes get now, never nil. failed says why the pair in the files is not served;
// nil if it is.
func (f *Certificate) Served() (leaf *x509.Certificate, failed error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.look()
	return f.served.Leaf, f.failed
}

// watch checks the files between handshakes, so that a failed renewal is logged soon after it happened.
func (f *Certificate) watch(ctx context.Context) error {
	tick := time.NewTicker(certificateEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
			_, _ = f.Served() // looks, and logs what it finds
		}
	}
}

// look serves the pair in the files if they have changed and can be used. The caller holds f.mu.
func (f *Certificate) look() {
	stamp, now := stamp(f.cert)+stamp(f.key), f.now()
	if stamp == f.seen && (f.failed == nil || now.Before(f.again)) {
		return
	}
	first, changed := f.served == nil, stamp != f.seen
	f.seen, f.again = stamp, now.Add(certificateEvery)
	pair, err := readPair(f.cert, f.key)
	if err == nil && !first {
		if err = usable(pair.Leaf, f.host, now); err != nil && usable(f.served.Leaf, f.host, now) != nil {
			err = nil // the served pair is unusable as well
		}
	}
	if err != nil {
		if changed || f.failed == nil || f.failed.Error() != err.Error() {
			f.tell(err)
		}
		f.failed = err
		return
	}
	f.served, f.failed = &pair, nil
	if !first {
		f.log.Info("the certificate was renewed", slog.Time("until", pair.Leaf.NotAfter))
	}
}

func (f *Certificate) tell(err error) {
	if f.served == nil {
		return // the start fails with it
	}
	f.log.Error("the certificate's files cannot be used, so the certificate loaded before is still served",
		slog.String("cert", f.cert), slog.String("key", f.key),
		slog.Time("served_until", f.served.Leaf.NotAfter), slog.Any("error", err))
}

// stamp tells two states of a file apart: another file, other contents, other rights.
func stamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return err.Error() + "\n"
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Sprintln(info.Size(), info.ModTime())
	}
	return fmt.Sprintln(st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim)
}

// readPair reads both files. Its errors name the file at fault without its path, because strangers may read them at
// /readyz.
func readPair(cert, key string) (tls.Certificate, error) {
	chain, err := os.ReadFile(cert)
	if err != nil {
		return tls.Certificate{}, unreadable("the certificate's file", err)
	}
	private, err := os.ReadFile(key)
	if err != nil {
		return tls.Certificate{}, unreadable("the key's file", err)
	}
	pair, err := tls.X509KeyPair(chain, private)
	if err != nil {
		return pair, errkind.New(errkind.Usage, "certificate and key cannot be used together ("+err.Error()+")").
			WithHint("The key must be the one that the certificate was made for; renew both files together.")
	}
	return pair, nil
}

func unreadable(what string, err error) error {
	why := err
	var p *fs.PathError
	if errors.As(err, &p) {
		why = p.Err
	}
	return errkind.New(errkind.Usage, fmt.Sprintf("%s cannot be read (%v)", what, why)).
		WithHint("Let the gateway's user read it: run chown root:sallyport and chmod 0640 in the hook that renews it.").
		Because(err)
}

// usable says why clients would refuse a certificate for its host name or its period of validity; nil if they would
// not.
func usable(leaf *x509.Certificate, host string, now time.Time) error {
	why := ""
	switch {
	case now.After(leaf.NotAfter):
		why = "ended on " + leaf.NotAfter.UTC().Format(time.DateOnly)
	case now.Before(leaf.NotBefore.Add(-time.Minute)):
		why = "begins on " + leaf.NotBefore.UTC().Format(time.DateOnly)
	case host != "" && leaf.VerifyHostname(host) != nil:
		why = "does not name " + host
	default:
		return nil
	}
	return errkind.New(errkind.Usage, "the certificate in the file "+why).
		WithHint("Renew it for this host. Until then the old certificate is served.")
}
