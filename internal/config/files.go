package config

import (
	"fmt"
	"path/filepath"

	"github.com/sallyport/sallyport/internal/readfile"
)

// CheckFiles opens every file that the gateway's own process reads: a path that is wrong is best heard of at the start,
// with its key. It gives the first that cannot be read.
func (c *Config) CheckFiles() error {
	type named struct{ key, path string }
	all := []named{{"[listen] metrics_token_file", c.Listen.MetricsToken}, {"[recording] archive_identity_file", c.Recording.ArchiveKey}}
	if c.TLS.Mode == "files" {
		all = append(all, named{"[tls] cert", c.TLS.Cert}, named{"[tls] key", c.TLS.Key})
	}
	for _, p := range c.Identity {
		all = append(all, named{"[[identity]] " + p.Name + ": client_secret_file", p.SecretFile},
			named{"[[identity]] " + p.Name + ": ca_file", p.CAFile})
	}
	all = append(all, named{"[mail] password_file", c.Mail.PasswordFile}, named{"[mail] ca_file", c.Mail.CAFile})
	for _, w := range c.Webhook {
		all = append(all, named{"[[webhook]] " + w.Name + ": url_file", w.URLFile}, named{"[[webhook]] " + w.Name + ": secret_file", w.SecretFile})
	}
	for _, f := range c.Recording.ReadersFiles {
		all = append(all, named{"[recording] readers_files", f})
	}
	for _, f := range c.Recording.UnsealersFiles {
		all = append(all, named{"[recording] unsealers_files", f})
	}
	for _, n := range all {
		if n.path == "" {
			continue
		}
		if err := readable(n.path); err != nil {
			return fmt.Errorf("%s: %w", n.key, err)
		}
	}
	if c.Signer.Socket != "" {
		return nil // the policy is the signer's to read
	}
	return c.CheckPolicyFiles()
}

// CheckPolicyFiles opens the files of the first policy.
func (c *Config) CheckPolicyFiles() error {
	for _, pattern := range c.Policy.Files {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			return fmt.Errorf("[policy] files: nothing matches %q", pattern)
		}
		for _, path := range paths {
			if err := readable(path); err != nil {
				return fmt.Errorf("[policy] files: %w", err)
			}
		}
	}
	return nil
}

func readable(path string) error {
	_, err := readfile.Regular(path, readfile.Most)
	return err
}
