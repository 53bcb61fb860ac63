package login

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/idp"
	"github.com/sallyport/sallyport/internal/oidcauth"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/internal/wire"
)

const apartPolicy = `
format = 1
name = "test"
contact = "the test"
groups = ["technicians", "administrators"]
[duties]
administer = ["administrators"]
[labels]
hall = {}
[role.maintain]
why = "repair"
shell = { as = ["svc"] }
[[allow]]
id = "A1"
why = "presses"
who = ["technicians"]
role = "maintain"
devices = "all"
hours = "always"
`

const toSign = "SALLYPORT_TEST_APART"

// apartConfig is what the signer's process is told.
type apartConfig struct {
	Dir, Issuer string
}

func bothDuties(c *oidcauth.Config) {
	c.Groups = map[string]string{"technicians": "technicians", "officers": "administrators"}
}

// TestSignerInAProcessOfItsOwn is the signer's process of the next test. It verifies id tokens of the built-in provider
// over the network.
func TestSignerInAProcessOfItsOwn(t *testing.T) {
	given := os.Getenv(toSign)
	if given == "" {
		return
	}
	var c apartConfig
	if err := json.Unmarshal([]byte(given), &c); err != nil {
		t.Fatal(err)
	}
	p := oidcauth.Config{Name: "builtin", Issuer: c.Issuer, ClientID: "sallyport", RedirectURL: c.Issuer + "/callback"}
	bothDuties(&p)
	provider, err := oidcauth.New(p)
	if err != nil {
		t.Fatal(err)
	}
	set, err := oidcauth.NewSet(provider)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signer.New(signer.Config{
		Dir:        filepath.Join(c.Dir, "signer"),
		Origin:     "test/log",
		Hosts:      []string{"127.0.0.1:1"},
		NoiseKey:   wire.Sum([]byte("noise")),
		Identities: set,
		PassTime:   time.Hour,
		SignInAge:  12 * time.Hour,
		RetainFor:  time.Hour,
	})
	if err == nil {
		err = s.Seed(t.Context(), []signer.PolicyFile{{Name: "p.toml", Text: apartPolicy}}, nil)
	}
	if err == nil {
		err = signer.Serve(t.Context(), s, filepath.Join(c.Dir, "s"), 0o600)
	}
	t.Fatal(err)
}

// apart is a site whose signer is a process.
type apart struct {
	*site
	*signer.Client
	t    *testing.T
	dir  string
	kill func()
}

func newApart(t *testing.T) *apart {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &apart{site: newSite(t, bothDuties), t: t, dir: dir}
	a.start()
	a.Service.cfg.SignOut, a.Service.cfg.Identify = a.Client.SignOut, a.Client.Identify
	if err := a.idp.Users().Change("officer", func(u *idp.User) error {
		u.Groups = []string{"officers", "technicians"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *apart) start() {
	a.t.Helper()
	raw, err := json.Marshal(apartConfig{a.dir, a.url + "/idp"})
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSignerInAProcessOfItsOwn$")
	cmd.Env = append(os.Environ(), toSign+"="+string(raw))
	if err := cmd.Start(); err != nil {
		a.t.Fatal(err)
	}
	a.kill = func() { cmd.Process.Kill(); cmd.Wait() }
	a.t.Cleanup(a.kill)
	a.Client = signer.NewClient(filepath.Join(a.dir, "s"))
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if _, err := a.Head(context.Background()); err == nil {
			return
		} else if time.Now().After(end) {
			a.t.Fatal(err)
		}
	}
}

// officer signs in with a browser as somebody who may open sessions, admit devices and apply the policy.
func (a *apart) officer() (*testenv.Browser, Identity) {
	a.t.Helper()
	b := a.browser()
	b.Open(a.url+"/login/builtin?next=/machines").Submit("username", "officer", "password", password)
	return b, a.who(b)
}

func machine(name string) signer.Device {
	seed := wire.Sum([]byte(name))
	k, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		panic(err)
	}
	key := wire.PublicKey{PublicKey: k}
	return signer.Device{Name: id.Device(name), Site: "ulm", FP: wire.Fingerprint(k), HostKey: key}
}

func opening(e signer.Evidence) signer.OpenRequest {
	pub, _, _ := ed25519.GenerateKey(rand.Reader)
	key, _ := ssh.NewPublicKey(pub)
	sid := id.NewSession()
	return signer.OpenRequest{Evidence: e, Session: sid, Device: "press-1", Login: "svc", Reason: "noise",
		H0: wire.Sum(sid[:]), SlotRK: wire.Sum([]byte("rk")), SlotSK: wire.Sum([]byte("sk")), RecordKey: pub, SessionKey: key.Marshal()}
}

// acts is all that evidence is good for at the signer, by name. Opened is a session of the same person.
func (a *apart) acts(e signer.Evidence, r signer.OpenRequest, o signer.Opened, who id.Principal) map[string]error {
	ctx := context.Background()
	_, open := a.Open(ctx, opening(e))
	_, renew := a.Renew(ctx, signer.RenewRequest{Evidence: e, Session: r.Session, Open: o.Index, Pass: o.Pass,
		Needs: "shell:svc", SessionKey: opening(e).SessionKey})
	_, admit := a.PutDevice(ctx, e, machine("press-1"))
	_, apply := a.ApplyPolicy(ctx, e, []signer.PolicyFile{{Name: "p.toml", Text: apartPolicy}}, "again")
	name := id.NewSession().String()
	_, token := a.PutToken(ctx, e, signer.Token{ID: name, Hash: wire.Sum([]byte(name)), Principal: who,
		Scopes: []string{signer.ScopeSession}, Expires: time.Now().Add(time.Hour)})
	return map[string]error{"open": open, "renew": renew, "admit": admit, "apply": apply, "make a token": token,
		"identify": a.Identify(ctx, e)}
}

// TestAfterASignOutTheOldEvidenceDoesNothingAtARealSigner signs out in each way, and keeps the evidence as a taken data
// plane would.
func TestAfterASignOutTheOldEvidenceDoesNothingAtARealSigner(t *testing.T) {
	a := newApart(t)
	for what, signOut := range map[string]func(b *testenv.Browser, who Identity){
		"at the gateway": func(b *testenv.Browser, _ Identity) { a.signOut(b) },
		"at the provider": func(b *testenv.Browser, who Identity) {
			b.Open(a.url + "/idp/logout").Submit()
			soon(t, "the back channel ends the sign-in", func() bool { return a.why(who.Key) == "the provider signed you out" })
			soon(t, "the signer is told", func() bool { return a.toldAll() })
		},
		"by an administrator": func(_ *testenv.Browser, who Identity) {
			admin := id.Principal{Issuer: who.Person.ID.Issuer, Subject: "admin"}
			if n, err := a.SignOutAll(t.Context(), who.Person.ID, admin, "lost laptop"); n != 1 || err != nil {
				t.Errorf("%d sign-ins ended, %v", n, err)
			}
		},
		"by an administrator at the provider": func(_ *testenv.Browser, who Identity) {
			if err := a.idp.Users().Change("officer", func(u *idp.User) error { u.Disabled = true; return nil }); err != nil {
				t.Fatal(err)
			}
			a.refresh(t.Context(), who.hash)
			if err := a.idp.Users().Change("officer", func(u *idp.User) error { u.Disabled = false; return nil }); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			b, who := a.officer()
			if _, err := a.PutDevice(t.Context(), who.Evidence, machine("press-1")); err != nil {
				t.Fatal(err)
			}
			r := opening(who.Evidence)
			o, err := a.Open(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			for act, err := range a.acts(who.Evidence, r, o, who.Person.ID) {
				if err != nil {
					t.Errorf("%s, before the sign-out: %v", act, err)
				}
			}
			signOut(b, who)
			for _, when := range []string{"after the sign-out", "after the signer was killed"} {
				for act, err := range a.acts(who.Evidence, r, o, who.Person.ID) {
					if errkind.KindOf(err) != errkind.Signin || err == nil {
						t.Errorf("%s, %s: got %v", act, when, err)
					}
				}
				a.kill()
				a.start()
				a.Service.cfg.SignOut, a.Service.cfg.Identify = a.Client.SignOut, a.Client.Identify
			}
			if _, err := a.Who(a.request(b)); err == nil {
				t.Error("the browser is still signed in")
			}
		})
	}
}

// toldAll reports whether the signer was told of every sign-out.
func (a *apart) toldAll() bool {
	left, err := a.db.SignOuts(context.Background(), a.clock.now().Add(time.Hour))
	return len(left) == 0 && err == nil
}

// TestASignOutReachesASignerThatWasAway signs out while the signer's process is dead.
func TestASignOutReachesASignerThatWasAway(t *testing.T) {
	a := newApart(t)
	b, who := a.officer()
	if err := a.Identify(t.Context(), who.Evidence); err != nil {
		t.Fatal(err)
	}
	a.kill()
	if a.signOut(b); b.At.Path != "/signin" || b.Status != http.StatusOK {
		t.Errorf("the sign-out leads to %s (%d)", b.At, b.Status)
	}
	a.start()
	a.Service.cfg.SignOut = a.Client.SignOut
	if err := a.Identify(t.Context(), who.Evidence); err != nil {
		t.Fatalf("the signer knew of a sign-out that it was not told: %v", err)
	}
	again, err := New(a.Service.cfg) // the gateway was restarted as well
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- again.Run(ctx) }()
	soon(t, "the signer is told", a.toldAll)
	stop()
	<-ended
	if err := a.Identify(t.Context(), who.Evidence); errkind.KindOf(err) != errkind.Signin {
		t.Errorf("after it was told: got %v", err)
	}
}

// TestASignOutThatTheSignerRefusesDelaysNoOther: the signer has no room for one that it has never seen.
func TestASignOutThatTheSignerRefusesDelaysNoOther(t *testing.T) {
	a := newApart(t)
	tell := a.Service.cfg.SignOut
	refused := wire.Hash{}
	a.Service.cfg.SignOut = func(ctx context.Context, token wire.Hash) error {
		if refused.IsZero() {
			refused = token
		}
		if token == refused {
			return errkind.New(errkind.TooMany, "the signer remembers the most")
		}
		return tell(ctx, token)
	}
	first, _ := a.officer()
	second, who := a.officer()
	if err := a.Identify(t.Context(), who.Evidence); err != nil {
		t.Fatal(err)
	}
	a.signOut(first)
	a.signOut(second)
	a.Service.tellSigner(t.Context())
	if err := a.Identify(t.Context(), who.Evidence); errkind.KindOf(err) != errkind.Signin {
		t.Errorf("the second sign-out waits behind the first: got %v", err)
	}
}

// TestStolenTokensAreNoEvidenceAtARealSigner brings an id token without its web session, and with another one.
func TestStolenTokensAreNoEvidenceAtARealSigner(t *testing.T) {
	a := newApart(t)
	_, who := a.officer()
	_, other := a.officer()
	for what, session := range map[string]wire.Hash{"none": {}, "another one": other.Evidence.Session} {
		e := who.Evidence
		e.Session = session
		for act, err := range a.acts(e, signer.OpenRequest{}, signer.Opened{}, who.Person.ID) {
			if act != "renew" && errkind.KindOf(err) != errkind.Signin {
				t.Errorf("%s, web session %s: got %v", act, what, err)
			}
		}
	}
	if err := a.Identify(t.Context(), who.Evidence); err != nil {
		t.Errorf("its own web session: %v", err)
	}
}
