package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/backup"
	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/store/sqlite"
	"github.com/sallyport/sallyport/internal/wire"
)

const restorablePolicy = `
format = 1
name = "test"
contact = "the test"
groups = ["administrators"]
[duties]
administer = ["administrators"]
`

// restorable is a gateway's database and signer, with a join code and an API token that can be revoked.
type restorable struct {
	*Gateway
	t    *testing.T
	ids  []age.Identity
	to   string
	code [16]byte
}

func newRestorable(t *testing.T) *restorable {
	t.Helper()
	k := &restorable{t: t, to: filepath.Join(t.TempDir(), "to"), code: [16]byte{7}}
	c := &config.Config{}
	c.Site.URL, c.Site.DataDir = "https://access.test", filepath.Join(t.TempDir(), "data")
	c.Ledger.Origin, c.Ledger.SecondCopy = "access.test/log", t.TempDir()
	own, err := age.GenerateX25519Identity()
	k.must(err)
	k.ids = []age.Identity{own}
	c.Backup.Recipients = config.Words{filepath.Join(t.TempDir(), "backup.age")}
	k.must(os.WriteFile(c.Backup.Recipients[0], []byte(own.Recipient().String()+"\n"), 0o600))
	k.must(os.MkdirAll(filepath.Join(c.Site.DataDir, "keys"), 0o700))
	k.must(os.WriteFile(filepath.Join(c.Site.DataDir, "keys", "noise.key"), []byte("secret"), 0o600))
	k.open(c)
	who, now := id.Principal{Issuer: "https://idp.test", Subject: "ada"}, time.Now()
	token := signer.Token{ID: "t-1", Hash: wire.Sum([]byte("spt_1")), Principal: who, Name: "Ada",
		Expires: now.Add(time.Hour)}
	policy := signer.PolicyFile{Name: "p.toml", Text: restorablePolicy}
	k.must(k.own.Seed(t.Context(), []signer.PolicyFile{policy}, []signer.Token{token}))
	k.must(k.DB.AddAPIToken(t.Context(), store.APIToken{ID: "t-1", Principal: who, Created: now,
		Expires: now.Add(time.Hour)}))
	k.must(k.DB.AddJoinToken(t.Context(), store.JoinToken{ID: k.code, SecretHash: [32]byte{1}, Uses: 1, UsesLeft: 1,
		Created: now, Expires: now.Add(time.Hour)}))
	return k
}

func (k *restorable) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *restorable) open(c *config.Config) {
	k.t.Helper()
	k.Gateway = &Gateway{opt: Options{Config: c, Log: slog.New(slog.DiscardHandler)}}
	var err error
	k.DB, err = sqlite.Open(k.t.Context(), k.path("gateway.db"), sqlite.Options{})
	k.must(err)
	k.own, err = signer.New(signer.Config{
		Dir:        k.path("signer"),
		Origin:     c.Ledger.Origin,
		SecondCopy: c.Ledger.SecondCopy,
		Hosts:      []string{"access.test:443"},
		NoiseKey:   wire.Sum([]byte("noise")),
		PassTime:   time.Hour,
		SignInAge:  time.Hour,
	})
	k.must(err)
	k.Signer = k.own
	k.t.Cleanup(func() { k.DB.Close(); k.own.Close() })
}

// backup makes both archives, and calls while between the snapshot of the database and the stamp.
func (k *restorable) backup(while func()) {
	k.t.Helper()
	tell := func(doing string, _, _ int) {
		if doing == "log" {
			while()
		}
	}
	_, err := backup.Make(k.t.Context(), k.opt.Config, backup.Gateway,
		backup.Options{To: k.to, Keep: 1, Progress: tell})
	k.must(err)
	_, err = backup.Make(k.t.Context(), k.opt.Config, backup.Signer, backup.Options{To: k.to, Keep: 1})
	k.must(err)
}

// restore opens what a restore puts in place elsewhere.
func (k *restorable) restore() {
	k.t.Helper()
	k.DB.Close()
	k.own.Close()
	c := *k.opt.Config
	c.Site.DataDir = k.t.TempDir()
	var all []*backup.Set
	for _, kind := range []backup.Kind{backup.Gateway, backup.Signer} {
		s, err := backup.Open(k.to, kind, "")
		k.must(err)
		defer s.Close()
		all = append(all, s)
	}
	_, err := backup.Target{Config: &c}.Restore(k.t.Context(), k.ids, nil, all...)
	k.must(err)
	k.open(&c)
	k.must(k.checkLog(k.t.Context()))
}

// revoke takes the API token and the join code away.
func (k *restorable) revoke() {
	k.t.Helper()
	_, err := k.Signer.RevokeToken(k.t.Context(), "t-1", "leaked")
	k.must(err)
	k.must(k.DB.RevokeAPIToken(k.t.Context(), "t-1", time.Now()))
	office := &enroll.Office{Store: k.DB, Signer: k.Signer, Audit: &audit.Log{Signer: k.Signer, Rows: k.DB}}
	k.must(office.RevokeToken(k.t.Context(), enroll.Actor{Name: "ada"}, k.code))
}

func (k *restorable) wantRevoked() {
	k.t.Helper()
	if got, err := k.DB.APIToken(k.t.Context(), "t-1"); err != nil || got.Revoked.IsZero() {
		k.t.Errorf("the API token: got %+v, %v, want it revoked", got, err)
	}
	if got, err := k.DB.JoinToken(k.t.Context(), k.code); err != nil || got.Revoked.IsZero() {
		k.t.Errorf("the join code: got %+v, %v, want it revoked", got, err)
	}
}

func TestARestoreDoesNotUndoRevocationsSinceTheBackup(t *testing.T) {
	k := newRestorable(t)
	k.backup(func() {})
	k.revoke()
	k.restore()
	k.wantRevoked()
}

// The log's head in the backup is newer than its database then.
func TestARestoreDoesNotUndoRevocationsWhileTheBackupWasMade(t *testing.T) {
	k := newRestorable(t)
	revoked := 0
	k.backup(func() { k.revoke(); revoked++ })
	if revoked != 1 {
		t.Fatalf("revoked %d times while the backup was made, want once", revoked)
	}
	k.restore()
	k.wantRevoked()
}
