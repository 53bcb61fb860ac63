package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
)

// stamp describes the state of a file. It changes with the file, its content and its permissions.
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

// readPair reads both files. Its errors name the file at fault without its path, because /readyz shows them to anyone.
func readPair(cert, key string) (tls.Certificate, error) {
	chain, err := readfile.Regular(cert, readfile.Most)
	if err != nil {
		return tls.Certificate{}, unreadable("the certificate's file", err)
	}
	private, err := readfile.Regular(key, readfile.Most)
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
		WithHint(readfile.Hint(err)).
		Because(err)
}

// usable returns an error if clients would refuse the certificate for its period of validity or its host names.
func usable(leaf *x509.Certificate, host string, now time.Time) error {
	why := ""
	switch {
	case now.After(leaf.NotAfter):
		why = "expired on " + leaf.NotAfter.UTC().Format(time.DateOnly)
	case now.Before(leaf.NotBefore.Add(-time.Minute)):
		why = "is not valid before " + leaf.NotBefore.UTC().Format(time.DateOnly)
	case host != "" && leaf.VerifyHostname(host) != nil:
		why = "does not name " + host
	default:
		return nil
	}
	return errkind.New(errkind.Usage, "the certificate in the file "+why).
		WithHint("Renew it for this host.")
}
