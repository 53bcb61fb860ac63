package node

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/readfile"
)

// promises say what of the product's promises this deployment keeps, and how. Nobody should learn after a break-in that a
// promise had rested on two programs being two.
func promises(c *config.Config) []Finding {
	out := []Finding{
		durable(c),
		{"promise 2: nothing goes unnoticed", OK, "sessions are announced in the log before they start, and devices demand the proof" + copyText(c), ""},
		{"promise 3: two parties hold the record", Weak, "devices hold checkpoints of the log; they do not sign statements of what they saw yet", ""},
		{"promise 4: recordings are sealed", Weak, "the archive's reading key is in the gateway's process, so control of that process is enough to read recordings", "Readers' keys elsewhere stay sealed against backups and storage."},
		unsealed(c),
		twice(c),
		{"promise 7: a refusal says why", OK, "in terms of the asker's own rights", ""},
		{"promise 8: an end is an end", OK, "no byte passes within a second; a line that is lost is not held", ""},
	}
	return out
}

func copyText(c *config.Config) string {
	if c.Ledger.SecondCopy == "" {
		return "; no second copy is kept here"
	}
	return "; a second copy is in " + c.Ledger.SecondCopy
}

func durable(c *config.Config) Finding {
	f := Finding{"promise 1: the record precedes the act", OK, "strict: the disk confirms each byte before it counts", ""}
	var st unix.Statfs_t
	if unix.Statfs(c.Site.DataDir, &st) == nil && (uint32(st.Type) == unix.TMPFS_MAGIC || uint32(st.Type) == unix.RAMFS_MAGIC) {
		f.State, f.Text, f.Hint = Weak, "data_dir lies in memory, which confirms and forgets", "Put data_dir on a disk."
	}
	return f
}

// unsealed finds an archive that could open hidden input.
func unsealed(c *config.Config) Finding {
	f := Finding{"promise 5: hidden input is sealed", OK, "to the unsealers' keys, which the archive does not have", ""}
	path := c.Recording.ArchiveKey
	if path == "" {
		path = c.Site.DataDir + "/keys/archive.txt"
	}
	own, err := identityRecipients(path)
	if err != nil {
		return Finding{f.What, Weak, "not known: " + err.Error(), "Run this as root."}
	}
	for _, file := range c.Recording.UnsealersFiles {
		text, err := readfile.Regular(file, readfile.Most)
		if err != nil {
			return Finding{f.What, Weak, "not known: " + err.Error(), "Run this as root."}
		}
		for _, r := range own {
			if strings.Contains(string(text), r) {
				return Finding{f.What, Weak, "the archive's own key is among the unsealers in " + file + ", so the gateway can open hidden input", "Take it out, and give a key that its officer alone has."}
			}
		}
	}
	return f
}

func identityRecipients(path string) ([]string, error) {
	text, err := readfile.Regular(path, readfile.Most)
	if os.IsNotExist(err) {
		return nil, nil // made at the first start
	}
	if err != nil {
		return nil, err
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	var out []string
	for _, i := range ids {
		if r := backup.PublicHalf(i); r != nil {
			out = append(out, fmt.Sprint(r))
		}
	}
	return out, err
}

// twice says whether the second decision is made where the data plane cannot reach.
func twice(c *config.Config) Finding {
	f := Finding{What: "promise 6: decided twice"}
	if c.Signer.Socket == "" {
		f.State, f.Text = Weak, "the signer is in the gateway's process, so control of that process is enough to sign passes and the log"
		f.Hint = "[signer] socket, and sallyport-signer.service as a user of its own."
		return f
	}
	gateway, err := userID(c.Signer.GatewayUser)
	owner, oerr := ownerOf(c.Signer.Dir)
	switch {
	case err != nil:
		f.State, f.Text = Weak, err.Error()
	case oerr != nil:
		f.State, f.Text = Weak, "not known: "+oerr.Error()
	case owner == gateway:
		f.State, f.Text, f.Hint = Weak, "the signer is a process of its own, but of the gateway's user, who can read its keys", "Run sallyport-signer as another user, and give it "+c.Signer.Dir+"."
	default:
		f.State, f.Text = OK, fmt.Sprintf("the signer is apart, as %s; the gateway, as %s, cannot read its keys", userName(owner), userName(gateway))
	}
	return f
}

func ownerOf(path string) (int, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fs.ErrInvalid
	}
	return int(st.Uid), nil
}

func userName(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("user %d", uid)
}
