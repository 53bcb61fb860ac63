package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
)

// Certificate is the pair of certificate and key that the gateway serves. It reads the files again when they change,
// and keeps the old pair if the new one cannot be used. It reports the pair that is served, never the one in the files.
type Certificate struct {
	cert, key string // files
	host      string // host name of the site, for which browsers and devices check the certificate
	log       *slog.Logger
	now       func() time.Time

	files condition // looks at the files: one look at a time, whose result all waiting handshakes share

	// Only the look that runs uses these two.
	seen  string    // state of the files at the last look, see stamp
	again time.Time // refused files are read again after this time, even if unchanged

	mu     sync.Mutex // guards what follows; never held while a file is read
	served *tls.Certificate
	failed error // why the pair in the files is not served; nil: it is
}

const (
	// certificateEvery is how often the files are looked at without a handshake, and how soon refused ones are tried
	// again.
	certificateEvery = 10 * time.Second
	// certificateTime is how long a handshake waits for the files before it serves the pair loaded before.
	certificateTime = time.Second
)

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
	f.files.look = func(context.Context) error { f.look(); return nil }
	if u, err := url.Parse(c.Site.URL); err == nil {
		f.host = u.Hostname()
	}
	if f.look(); f.failed != nil {
		hint := "Both must be in PEM form: cert is the chain with the server's own certificate first, " +
			"key is the private key that belongs to it."
		return nil, errkind.New(errkind.Usage, fmt.Sprintf("[tls] %s with %s: %v", cert, key, f.failed)).
			WithHint(cmp.Or(readfile.Hint(f.failed), hint))
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
	served, failed := f.current()
	if served == nil {
		return nil, failed
	}
	return served, nil
}

// Served gives the certificate that handshakes get now, never nil. failed says why the pair in the files is not served;
// nil if it is.
func (f *Certificate) Served() (leaf *x509.Certificate, failed error) {
	served, failed := f.current()
	return served.Leaf, failed
}

// current looks at the files, for certificateTime at most, and gives the pair to serve. The disk of the files may hang:
// handshakes then get the pair loaded before, and the look goes on in the background.
func (f *Certificate) current() (served *tls.Certificate, failed error) {
	ctx, cancel := context.WithTimeout(context.Background(), certificateTime)
	defer cancel()
	if err := f.files.within(ctx, certificateTime); err != nil {
		failed = errkind.New(errkind.Unavailable, "the files of the certificate cannot be read in time").Because(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.served, cmp.Or(failed, f.failed)
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

// look loads the pair from the files if they have changed, and serves it if it can be used. Only one look runs at a
// time.
func (f *Certificate) look() {
	stamp, now := stamp(f.cert)+stamp(f.key), f.now()
	f.mu.Lock()
	served, failed := f.served, f.failed
	f.mu.Unlock()
	if stamp == f.seen && (failed == nil || now.Before(f.again)) {
		return
	}
	changed := stamp != f.seen
	f.seen, f.again = stamp, now.Add(certificateEvery)
	pair, err := f.read(served, now)
	switch {
	case err == nil && served != nil:
		f.log.Info("the certificate was renewed", slog.Time("until", pair.Leaf.NotAfter))
	case err != nil && served != nil && (changed || failed == nil || failed.Error() != err.Error()):
		f.tell(served, err) // without a pair that is served the start fails with the error
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed = err; err == nil {
		f.served = &pair
	}
}

// read loads the files, and refuses a pair that is worse than the one that is served.
func (f *Certificate) read(served *tls.Certificate, now time.Time) (tls.Certificate, error) {
	pair, err := readPair(f.cert, f.key)
	if err != nil || served == nil {
		return pair, err
	}
	if err = usable(pair.Leaf, f.host, now); err != nil && usable(served.Leaf, f.host, now) != nil {
		err = nil // the served pair is no better
	}
	return pair, err
}

// tell logs why the pair in the files is not served.
func (f *Certificate) tell(served *tls.Certificate, err error) {
	_, hint, _ := errkind.ForPeople(err)
	f.log.Error("the certificate's files cannot be used, so the certificate loaded before is still served",
		slog.String("cert", f.cert), slog.String("key", f.key), slog.Time("served_until", served.Leaf.NotAfter),
		slog.Any("error", err), slog.String("hint", hint))
}
