package backup

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/recorder"
	"github.com/sallyport/sallyport/recorder/files"
	"github.com/sallyport/sallyport/recorder/format"
	"github.com/sallyport/sallyport/recorder/writer"
)

const policy = `
format = 1
name = "test"
contact = "the test"
groups = ["administrators"]
[duties]
administer = ["administrators"]
`

// house is a gateway's directory as its parts make it, with a signer that writes to its log meanwhile.
type house struct {
	*config.Config
	t    testing.TB
	dir  string
	to   string
	ids  []age.Identity // the identities that open backups
	db   *sqlite.DB
	sign *signer.Service
	rec  *writer.Node
}

func keyPair(t testing.TB, dir, name string) *age.X25519Identity {
	t.Helper()
	k, err := age.GenerateX25519Identity()
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".age"), []byte("# "+name+"\n"+k.Recipient().String()+"\n"), 0o600)
	}
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{Config: &config.Config{}, t: t, dir: t.TempDir(), to: filepath.Join(t.TempDir(), "to")}
	h.Site.URL, h.Site.DataDir = "https://access.test", filepath.Join(h.dir, "data")
	h.Ledger.Origin, h.Ledger.SecondCopy = "access.test/log", filepath.Join(h.dir, "copy")
	must(t, os.MkdirAll(filepath.Join(h.Site.DataDir, "keys"), 0o700))
	must(t, os.Mkdir(h.Ledger.SecondCopy, 0o700))
	reader, officer, own := keyPair(t, h.dir, "reader"), keyPair(t, h.dir, "officer"), keyPair(t, h.dir, "backup")
	h.ids = []age.Identity{own}
	h.Recording.ReadersFiles, h.Recording.UnsealersFiles = config.Words{h.path("reader.age")},
		config.Words{h.path("officer.age")}
	h.Backup.Recipients = config.Words{h.path("backup.age")}
	for _, name := range []string{"noise.key", "record.key"} {
		must(t, os.WriteFile(h.data("keys", name), []byte("secret of "+name), 0o600))
	}
	users, err := idp.OpenUsers(h.data("idp"))
	must(t, err)
	_, err = users.Add(idp.User{Name: "ada", Groups: []string{"administrators"}}, "several words in a row")
	must(t, err)
	h.reopen()
	must(t, h.sign.Seed(t.Context(), []signer.PolicyFile{{Name: "p.toml", Text: policy}}, nil))
	h.db, err = sqlite.Open(t.Context(), h.data("gateway.db"), sqlite.Options{})
	must(t, err)
	h.fill()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	h.rec, _, err = writer.OpenNode(t.Context(), writer.NodeConfig{Dir: h.data("recordings"), Key: key,
		LogOrigin: h.Ledger.Origin,
		Readers:   []age.Recipient{reader.Recipient()}, Unsealers: []age.Recipient{officer.Recipient()},
		JournalBytes: 8 << 20})
	must(t, err)
	t.Cleanup(h.stop)
	return h
}

// reopen starts the signer.
func (h *house) reopen() {
	h.t.Helper()
	var err error
	h.sign, err = signer.New(signer.Config{Dir: h.data("signer"), Origin: h.Ledger.Origin,
		SecondCopy: h.Ledger.SecondCopy, Hosts: []string{"access.test:443"},
		NoiseKey: wire.Sum([]byte("noise")), PassTime: time.Hour, SignInAge: time.Hour})
	must(h.t, err)
}

// fill writes rows that a restore must bring back, and a sign-in that it must not.
func (h *house) fill() {
	h.t.Helper()
	ctx, who, now := h.t.Context(), id.Principal{Issuer: "https://idp.test", Subject: "ada"}, time.Now()
	must(h.t, h.db.PutPrincipal(ctx, store.Principal{ID: who, Name: "Ada", Groups: []string{"administrators"},
		SeenAt: now}))
	must(h.t, h.db.AddAPIToken(ctx, store.APIToken{ID: "t-1", Principal: who, Created: now,
		Expires: now.Add(time.Hour)}))
	must(h.t, h.db.AddWebSession(ctx, store.WebSession{IDHash: [32]byte{1}, Principal: who, Provider: "p",
		Tokens: []byte("SECRET-ID-TOKEN"), Kind: store.KindWeb,
		AuthTime: now, Created: now, LastSeen: now, Expires: now.Add(time.Hour)}))
}

func (h *house) stop() {
	h.db.Close()
	h.sign.Close()
	h.rec.Close(context.Background())
}

func (h *house) path(parts ...string) string {
	return filepath.Join(append([]string{h.dir}, parts...)...)
}
func (h *house) data(parts ...string) string {
	return filepath.Join(append([]string{h.Site.DataDir}, parts...)...)
}

// record makes a recording and gives its file; it goes on until end.
func (h *house) record(text string) (file string, end func()) {
	h.t.Helper()
	sid := id.NewSession()
	r, err := h.rec.Create(h.t.Context(), recorder.PartConfig{Session: sid})
	must(h.t, err)
	must(h.t, r.Start(0, 0, 0, "a shell"))
	must(h.t, r.Output(h.t.Context(), 0, 1, []byte(text)))
	root := h.data("recordings")
	path, err := files.Locate(root, format.FileName(sid, 0), time.Time{})
	must(h.t, err)
	file, err = filepath.Rel(root, path)
	must(h.t, err)
	return file, func() {
		h.t.Helper()
		_, err := r.Close(h.t.Context(), "exit")
		must(h.t, err)
	}
}

// grow adds entries to the log.
func (h *house) grow(n int) {
	h.t.Helper()
	for i := range n {
		_, err := h.sign.Append(h.t.Context(),
			signer.AppendRequest{Type: "viewed", Body: eventBody(h.t, fmt.Sprint(i))})
		must(h.t, err)
	}
}

// make makes both archives.
func (h *house) make(keep int) (gateway, sign *Result) {
	h.t.Helper()
	out := map[Kind]*Result{}
	for _, k := range []Kind{Gateway, Signer} {
		r, err := Make(h.t.Context(), h.Config, k, Options{To: h.to, Keep: keep})
		must(h.t, err)
		if len(r.Unnamed) > 0 {
			h.t.Errorf("files that no rule names: %v", r.Unnamed)
		}
		out[k] = r
	}
	return out[Gateway], out[Signer]
}

// restore puts both newest sets into another directory.
func (h *house) restore(ids []age.Identity) (data string, err error) {
	h.t.Helper()
	_, data, err = h.restoreTo(Target{}, ids)
	return data, err
}

// restoreTo is restore with options. The target's configuration is the house's, with another data directory.
func (h *house) restoreTo(t Target, ids []age.Identity) (out []Restored, data string, err error) {
	h.t.Helper()
	c := *h.Config
	c.Site.DataDir = h.t.TempDir()
	t.Config = &c
	var all []*Set
	for _, k := range []Kind{Gateway, Signer} {
		s, err := Open(h.to, k, "")
		if err != nil {
			return nil, "", err
		}
		defer s.Close()
		all = append(all, s)
	}
	out, err = t.Restore(h.t.Context(), ids, nil, all...)
	return out, c.Site.DataDir, err
}
