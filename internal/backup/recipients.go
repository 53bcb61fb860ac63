package backup

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/readfile"
)

const newKey = "`age-keygen -o backup-key.txt` makes a pair. Keep backup-key.txt offline, " +
	"and name a file with the public half."

// Recipients reads the files of [backup] recipients. It refuses a key that is also a reader's, an unsealer's or the
// archive's own, because a reader of recordings must not be able to become the gateway.
func Recipients(c *config.Config) ([]age.Recipient, error) {
	if len(c.Backup.Recipients) == 0 {
		return nil, errkind.New(errkind.Usage,
			"[backup] recipients is missing: a backup holds keys, so it is never written unsealed").
			WithHint(newKey)
	}
	var out []age.Recipient
	own := map[string]string{} // public key: file
	for _, path := range c.Backup.Recipients {
		text, err := readfile.Regular(path, readfile.Most)
		if err != nil {
			return nil, errkind.New(errkind.Usage, "[backup] recipients: "+err.Error()).Because(err).
				WithHint(cmp.Or(readfile.Hint(err), newKey))
		}
		rs, err := age.ParseRecipients(bytes.NewReader(text))
		if err != nil {
			return nil, errkind.New(errkind.Usage,
				fmt.Sprintf("[backup] recipients: %s: want age public keys, one a line: %v",
					path, err)).
				WithHint("`age-keygen -y backup-key.txt` prints the public half.")
		}
		out = append(out, rs...)
		for _, r := range rs {
			own[fmt.Sprint(r)] = path
		}
	}
	return out, keptApart(c, own)
}

// keptApart refuses a key that is among the readers or unsealers, or is the archive's own.
func keptApart(c *config.Config, own map[string]string) error {
	lists := map[string]config.Words{"readers_files": c.Recording.ReadersFiles,
		"unsealers_files": c.Recording.UnsealersFiles}
	for key, files := range lists {
		for _, file := range files {
			lines, err := publicKeys(file)
			if err != nil {
				return fmt.Errorf("[recording] %s must be readable, to check that it has no key of "+
					"[backup] recipients: %w", key, err)
			}
			for _, l := range lines {
				if mine, ok := own[l]; ok {
					return sharedKey(mine, "[recording] "+key+" ("+file+")")
				}
			}
		}
	}
	path := c.Recording.ArchiveKey
	if path == "" {
		path = filepath.Join(c.Site.DataDir, "keys", "archive.txt")
	}
	text, err := readfile.Regular(path, readfile.Most)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // the signer's user may lack the right to read it
	}
	if err != nil {
		return err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, i := range ids {
		if mine := own[fmt.Sprint(PublicHalf(i))]; mine != "" {
			return sharedKey(mine, "the archive's own identity "+path)
		}
	}
	return nil
}

// PublicHalf gives the recipient of an identity of either kind that age-keygen makes; nil for other identities. Its
// text, by fmt.Sprint, is the public key as recipients' files hold it.
func PublicHalf(i age.Identity) age.Recipient {
	switch k := i.(type) {
	case *age.X25519Identity:
		return k.Recipient()
	case *age.HybridIdentity:
		return k.Recipient()
	}
	return nil
}

func sharedKey(mine, theirs string) error {
	return errkind.New(errkind.Usage, fmt.Sprintf("a key in %s ([backup] recipients) is also %s", mine, theirs)).
		WithHint("Use a separate key for backups. A reader of recordings must not be able to forge them. " +
			"A person who restores the gateway must not be able to read what people did.")
}

// publicKeys gives the lines of a file that are not comments.
func publicKeys(path string) ([]string, error) {
	text, err := readfile.Regular(path, readfile.Most)
	if err != nil {
		return nil, err
	}
	var out []string
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out, nil
}
