package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/reach"
	"github.com/sallyport/sallyport/internal/readfile"
)

// proxyFile holds the proxy's URL with its password, for this user only.
const proxyFile = "proxy"

// MaskProxy gives the URL of a proxy with its password replaced by xxxxx, or a sentence if text is not such a URL.
func MaskProxy(text string) string {
	u, err := reach.ParseProxy(text, "")
	if err != nil {
		return "a URL that cannot be read"
	}
	return u.Redacted()
}

// Proxy reads the proxy that is kept in the state directory, a URL with its password. It is empty if none is kept. The
// error is of kind errkind.Unavailable.
func (d Dir) Proxy() (string, error) {
	raw, err := readfile.Regular(d.file(proxyFile), readfile.Most)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", errkind.New(errkind.Unavailable, fmt.Sprintf("the proxy in %s cannot be read", d.file(proxyFile))).
			WithHint("Run the command as the user the agent runs as.").Because(err)
	}
	return strings.TrimSpace(string(raw)), nil
}

// KeepProxy stores the proxy's URL durably, with mode 0600; empty text removes it. Text that is not the URL of a proxy
// is an error of kind errkind.Usage.
func (d Dir) KeepProxy(text string) error {
	if text == "" {
		if err := os.Remove(d.file(proxyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove proxy: %w", err)
		}
		return SyncDir(d.Path)
	}
	u, err := reach.ParseProxy(text, "")
	if err != nil {
		return err
	}
	return d.Write(proxyFile, []byte(u.String()+"\n"))
}
