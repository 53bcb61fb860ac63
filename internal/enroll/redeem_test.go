package enroll_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/audit"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
)

func TestACodeMakesADeviceThatWaits(t *testing.T) {
	h := newHouse(t)
	c := h.code(enroll.TokenSpec{Site: "north", Labels: map[string]string{"hall": "1"}, Serial: "SN-1"})
	m := newMachine(t)
	got := must(h.join(m, c))(t)
	d := got.Device
	if d.State != store.Waiting || d.Name != "press" || d.Site != "north" || d.Labels["hall"] != "1" || d.Serial != "SN-1" || d.LastAddr != "192.0.2.7" || got.Again {
		t.Errorf("got %+v, want a device that waits, of the code's site and labels", d)
	}
	if wire.Sum(got.Bundle.Body) != c.Bundle {
		t.Error("the bundle is not the one that the code pins")
	}
	if tok := h.token(c); tok.UsesLeft != 0 || len(tok.Used) != 1 || tok.Used[0].Addr != "192.0.2.7" {
		t.Errorf("the code: got %+v, want one use by 192.0.2.7", tok)
	}
	if got := h.joins(); !slices.Equal(got, []string{audit.Done}) {
		t.Errorf("events: got %v, want one that is done", got)
	}
}

func TestACodeThatIsNotGoodMakesNoDevice(t *testing.T) {
	type setting struct {
		spec   enroll.TokenSpec
		before func(h *house, c *wire.JoinCode) // what happened to the code
		show   func(j *enroll.Joiner)           // what the machine shows instead
		words  string
		leaf   bool // a right secret was refused: that is written down
	}
	other := newMachine(t)
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))(t)
	for name, s := range map[string]setting{
		"reused": {before: func(h *house, c *wire.JoinCode) { must(h.join(newMachine(h.t), *c))(h.t) },
			words: "this join code has been used already: by press, key SHA256:", leaf: true},
		"expired": {before: func(h *house, _ *wire.JoinCode) { h.clock = h.clock.Add(enroll.DefaultTTL) }, words: "this join code expired on", leaf: true},
		"expired long ago": {spec: enroll.TokenSpec{TTL: time.Minute}, before: func(h *house, _ *wire.JoinCode) { h.clock = h.clock.Add(1000 * time.Hour) },
			words: "this join code expired on", leaf: true},
		"revoked": {before: func(h *house, c *wire.JoinCode) {
			if err := h.RevokeToken(h.t.Context(), ada, c.ID); err != nil {
				h.t.Fatal(err)
			}
		}, words: "this join code was revoked by ada", leaf: true},
		"another machine's serial": {spec: enroll.TokenSpec{Serial: "SN-2"}, words: `this join code is for the machine with serial SN-2, this one says "SN-1"`, leaf: true},
		"no serial where one is expected": {spec: enroll.TokenSpec{Serial: "SN-1"}, show: func(j *enroll.Joiner) { j.Part.Serial = "" },
			words: "this join code is for the machine with serial SN-1", leaf: true},
		"a secret that is guessed": {before: func(_ *house, c *wire.JoinCode) { c.Secret[31] ^= 1 }, words: "this join code is not known to this gateway"},
		"another gateway's code": {before: func(h *house, c *wire.JoinCode) { *c = newHouse(h.t).code(enroll.TokenSpec{}) },
			words: "this join code is not known to this gateway"},
		"half a secret":        {show: func(j *enroll.Joiner) { j.Part.Secret = j.Part.Secret[:16] }},
		"no secret":            {show: func(j *enroll.Joiner) { j.Part.Secret = nil }},
		"a name not its key's": {show: func(j *enroll.Joiner) { j.Device = wire.Fingerprint(other.host.PublicKey()) }, words: "the device did not prove its host key"},
		"another's host key": {show: func(j *enroll.Joiner) {
			j.Part.HostKey, j.Device = wire.PublicKey{PublicKey: other.host.PublicKey()}, wire.Fingerprint(other.host.PublicKey())
		}, words: "the device did not prove its host key"},
		"a proof for another line":  {show: func(j *enroll.Joiner) { j.Noise = other.noise.Public }, words: "the device did not prove its host key"},
		"no proof":                  {show: func(j *enroll.Joiner) { j.Part.Proof = nil }, words: "the device did not prove its host key"},
		"an RSA key":                {show: func(j *enroll.Joiner) { j.Part.HostKey = wire.PublicKey{PublicKey: signerOf(t, rsaKey).PublicKey()} }, words: "must be ssh-ed25519"},
		"no host key":               {show: func(j *enroll.Joiner) { j.Part.HostKey = wire.PublicKey{} }, words: "must be ssh-ed25519"},
		"a name that moves cursors": {show: func(j *enroll.Joiner) { j.Part.Name = "press\x1b[2J" }, words: "control characters"},
		"a serial written backward": {show: func(j *enroll.Joiner) { j.Part.Serial = "SN\u202e1" }, words: "control characters"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			c := h.code(s.spec)
			if s.before != nil {
				s.before(h, &c)
			}
			devices, leaves := h.devices(), len(h.joins())
			j := newMachine(t).with(c)
			if s.show != nil {
				s.show(&j)
			}
			_, err := h.Redeem(t.Context(), j)
			if errkind.KindOf(err) != errkind.Denied {
				t.Errorf("got %v, want a denial", err)
			}
			if s.words != "" {
				text, _, _ := errkind.ForPeople(err)
				if !bytes.Contains([]byte(text), []byte(s.words)) {
					t.Errorf("got %q, want %q", text, s.words)
				}
			}
			if got := h.devices() - devices; got != 0 {
				t.Errorf("%d devices were made", got)
			}
			want := 0
			if s.leaf {
				want = 1
			}
			if got := h.joins(); len(got)-leaves != want || want == 1 && got[0] != audit.Failed {
				t.Errorf("events: got %v after %d, want %d more that failed", got, leaves, want)
			}
		})
	}
}

func TestOfManyUsesAtOnceAsManyWinAsTheCodeHas(t *testing.T) {
	for _, uses := range []int{1, 3} {
		h := newHouse(t)
		c := h.code(enroll.TokenSpec{Uses: uses})
		var won, refused atomic.Int32
		var all sync.WaitGroup
		for range 24 {
			j := newMachine(t).with(c)
			all.Go(func() {
				switch _, err := h.Redeem(t.Context(), j); {
				case err == nil:
					won.Add(1)
				case errkind.KindOf(err) == errkind.Denied:
					refused.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if int(won.Load()) != uses || int(refused.Load()) != 24-uses {
			t.Errorf("%d uses: %d won and %d were refused", uses, won.Load(), refused.Load())
		}
		if tok := h.token(c); tok.UsesLeft != 0 || len(tok.Used) != uses || h.devices() != uses {
			t.Errorf("%d uses: %d left, %d written down, %d devices", uses, tok.UsesLeft, len(tok.Used), h.devices())
		}
		if got := h.joins(); len(got) != 24 {
			t.Errorf("%d uses: got %d events of 24", uses, len(got))
		}
	}
}

func TestADeviceWhoseAnswerWasLostGetsItAgainAndSpendsNothing(t *testing.T) {
	h := newHouse(t)
	c := h.code(enroll.TokenSpec{Uses: 2})
	m := newMachine(t)
	first := must(h.join(m, c))(t)
	h.clock = h.clock.Add(2 * enroll.DefaultTTL) // the code expired meanwhile
	again := must(h.join(m, c))(t)
	if !again.Again || again.Device.FP != first.Device.FP || h.token(c).UsesLeft != 1 || h.devices() != 1 {
		t.Errorf("got again %v, %d uses left, %d devices", again.Again, h.token(c).UsesLeft, h.devices())
	}
	if got := len(h.joins()); got != 1 {
		t.Errorf("got %d events, want one: a replayed message must not grow the log", got)
	}
}

func TestKeysThatAreKnownDoNotEnrolAgain(t *testing.T) {
	h := newHouse(t)
	m := newMachine(t)
	must(h.join(m, h.code(enroll.TokenSpec{})))(t)
	_, err := h.join(m, h.code(enroll.TokenSpec{}))
	refusal(t, "the same device", err, errkind.Denied, "this device is enrolled already, as press since")
	clone := newMachine(t)
	clone.noise = m.noise
	_, err = h.join(clone, h.code(enroll.TokenSpec{}))
	refusal(t, "half a copied state directory", err, errkind.Denied, "one of this device's keys belongs to press already")
	clone = newMachine(t)
	clone.host = m.host
	_, err = h.join(clone, h.code(enroll.TokenSpec{}))
	refusal(t, "the other half", err, errkind.Denied, "one of this device's keys belongs to press already")
	if _, err := h.Revoke(t.Context(), ada, "press", "sold"); err != nil {
		t.Fatal(err)
	}
	_, err = h.join(m, h.code(enroll.TokenSpec{}))
	refusal(t, "a revoked key", err, errkind.Denied, "this device's key was revoked as press on")
	if h.devices() != 1 {
		t.Errorf("got %d devices, want 1", h.devices())
	}
}

func TestASecretIsNowhereInTheDatabase(t *testing.T) {
	h := newHouse(t)
	c := h.code(enroll.TokenSpec{})
	must(h.join(newMachine(t), c))(t)
	copied := filepath.Join(t.TempDir(), "copy")
	if err := h.db.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	hash := wire.Sum(c.Secret[:])
	if bytes.Contains(raw, c.Secret[:]) || !bytes.Contains(raw, hash[:]) {
		t.Error("want the secret's hash in the database, and not the secret")
	}
}
