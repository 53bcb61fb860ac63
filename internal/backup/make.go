package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store/sqlite"
)

// Options are the settings of a backup.
type Options struct {
	To       string   // directory for the archives gateway and signer
	Keep     int      // complete sets to keep, at least 1; all share the recordings
	Progress Progress // may be nil
}

// Result describes a finished backup.
type Result struct {
	Kind        Kind     `json:"kind"`
	Dir         string   `json:"dir"`               // directory of the archive
	Set         string   `json:"set"`               // name of the set
	Fingerprint string   `json:"fingerprint"`       // hexadecimal SHA-256 of the manifest, which names that of each file
	Files       int      `json:"files"`             // named in the manifest
	Copied      int      `json:"copied"`            // files of recordings copied
	Kept        int      `json:"kept"`              // files of recordings that an earlier set has already
	Running     int      `json:"running"`           // files copied of recordings that were not closed
	Bytes       int64    `json:"bytes"`             // bytes copied of recordings
	LogSize     uint64   `json:"log_size"`          // entries in the log, by its checkpoint in the manifest
	Unnamed     []string `json:"unnamed,omitempty"` // files that no rule names, so that they are not in the backup
}

// maker makes one set of an archive.
type maker struct {
	c     *config.Config
	p     place
	o     Options
	to    []age.Recipient
	dir   string   // archive
	root  *os.Root // archive, opened
	held  *os.File // lock of the archive
	set   string   // directory of the new set, below root
	temp  temp     // for the snapshot, below the source; readable only by its user
	m     Manifest
	files []found
	out   Result
}

// Make writes a new set of one archive, checks it, and then removes the oldest complete sets above o.Keep. The caller
// runs as the user who owns the files. Gateway and signer may be running. Errors of the settings are of kind
// errkind.Usage, a second backup at the same time is errkind.Conflict, and a snapshot without enough room is
// errkind.Unavailable. If ctx ends, Make returns its cause. A result beside an error is a complete set, after which
// something else failed.
func Make(ctx context.Context, c *config.Config, kind Kind, o Options) (*Result, error) {
	to, err := Recipients(c)
	if err != nil {
		return nil, err
	}
	b := &maker{c: c, o: o, to: to, p: gatewayPlace(c), dir: archiveDir(o.To, kind)}
	if kind == Signer {
		b.p = signerPlace(c)
	}
	if err := b.prepare(); err != nil {
		return nil, err
	}
	defer b.close()
	defer func() { b.temp.remove() }()
	if err := b.run(ctx); err != nil {
		// It would keep a full disk full. What cannot be removed now, the next backup removes.
		_ = b.root.RemoveAll(b.set)
		return nil, b.worded(err)
	}
	return &b.out, errors.Join(b.note(), b.prune())
}

// run makes the set; its last step gives the set the name of a complete one.
func (b *maker) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{b.secrets, b.since, b.database, b.stamp, b.recordings, b.finish} {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// secrets seals the keys. For the signer it also seals its state and the provider's people.
func (b *maker) secrets(context.Context) error {
	unnamed, err := b.p.walk(func(f found) error {
		if f.rule.Class == Sealed {
			b.files = append(b.files, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(b.files) == 0 {
		return errkind.New(errkind.NotFound, b.p.dir+" holds no keys of the "+string(b.p.kind)).
			WithHint("Start it once, then run this as its user.")
	}
	b.out.Unnamed = unnamed
	return b.seal(secretsName, func(w io.Writer) error { return b.p.pack(w, b.files) })
}

func (b *maker) seal(name string, write func(io.Writer) error) error {
	path := b.set + "/" + name
	plain, err := seal(b.root, path, b.to, write)
	if err != nil {
		return err
	}
	e, err := entryOf(b.root, path, setsDir+"/"+b.m.name()+"/"+name, plain)
	b.m.Files = append(b.m.Files, e)
	return err
}

// database seals a snapshot of the database. Until it is sealed, the snapshot is in the clear beside the database.
func (b *maker) database(ctx context.Context) error {
	if b.p.kind != Gateway {
		return nil
	}
	b.o.Progress.say("database")
	source := filepath.Join(b.p.dir, "gateway.db")
	if err := b.roomFor(source); err != nil {
		return err
	}
	var err error
	if b.temp, err = makeTemp(b.p.dir); err != nil {
		return err
	}
	plain := filepath.Join(b.temp.dir, "gateway.db")
	if err := sqlite.Snapshot(ctx, source, plain); err != nil {
		return err
	}
	return b.seal(databaseName, func(w io.Writer) error {
		f, err := os.Open(plain)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}

// roomFor refuses a snapshot that would leave less than low_water free, because sessions would then be refused.
func (b *maker) roomFor(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(b.p.dir, &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * st.Bsize; free < info.Size()+int64(b.c.Recording.LowWater) {
		return errkind.New(errkind.Unavailable,
			fmt.Sprintf("a snapshot of %d MiB would leave less than [recording] low_water free on the disk of data_dir",
				info.Size()>>20)).
			WithHint("Free space there first.")
	}
	return nil
}

// recordings copies new recordings. It runs after the snapshot, so that every session in it has its recording.
func (b *maker) recordings(ctx context.Context) error {
	if b.p.kind != Gateway {
		return nil
	}
	r := &recordings{from: b.p.dir, to: b.root, set: b.set, name: b.m.name(), before: b.earlier(), result: &b.out}
	var all []found
	if _, err := b.p.walk(func(f found) error {
		if f.rule.Class == Recording {
			all = append(all, f)
		}
		return nil
	}); err != nil {
		return err
	}
	for i, f := range all {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := r.add(f)
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		b.m.Files = append(b.m.Files, e)
		b.o.Progress.count("recordings", i+1, len(all))
	}
	return nil
}

// finish writes the manifest, makes everything durable and gives the set its name.
func (b *maker) finish(context.Context) error {
	raw, err := json.MarshalIndent(b.m, "", " ")
	if err != nil {
		return err
	}
	f, err := newPart(b.root, b.set+"/"+manifestName)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := errors.Join(b.mounted(), unix.Syncfs(int(b.held.Fd()))); err != nil {
		return err
	}
	if err := b.root.Rename(b.set, strings.TrimSuffix(b.set, partSuffix)); err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	b.out.Fingerprint, b.out.Files = hex.EncodeToString(sum[:]), len(b.m.Files)
	return syncIn(b.root, setsDir)
}

func (p Progress) say(doing string) {
	if p != nil {
		p(doing, 0, 0)
	}
}
