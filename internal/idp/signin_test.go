package idp

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/sallyport/sallyport/internal/errkind"
)

func TestAWrongPasswordReadsTheSameForEverybody(t *testing.T) {
	s := newSite(t)
	var seen []string
	for _, name := range []string{"anna", "nobody"} {
		b := s.browser().Open(s.ask()).Submit("username", name, "password", "wrong password wrong")
		if b.Status != http.StatusUnauthorized || !has(b.Body, "user name or password is wrong") {
			t.Errorf("%s: got %d %s", name, b.Status, b.Body)
		}
		seen = append(seen, b.Body)
	}
	if len(seen[0])-len("anna") != len(seen[1])-len("nobody") {
		t.Errorf("the two answers differ by more than the name")
	}
}

func TestWhoGuessesDoesNotLockOutWhoSitsBesideThem(t *testing.T) {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	b := newBackoff(c.now)
	office := netip.MustParseAddr("192.0.2.1")
	for range 12 {
		c.forward(b.attempt(office, "anna"))
		b.attempt(office, "anna")
	}
	if wait := b.attempt(office, "anna"); wait < 4*time.Minute {
		t.Errorf("the name waits %s where it was guessed", wait)
	}
	if wait := b.attempt(netip.MustParseAddr("198.51.100.1"), "anna"); wait > longestFor {
		t.Errorf("the name waits %s elsewhere, want %s at most", wait, longestFor)
	}
	if wait := b.attempt(office, "otto"); wait != 0 {
		t.Errorf("somebody else at the same address waits %s", wait)
	}
	b.forgive(office, "otto")
	if wait := b.attempt(office, "anna"); wait == 0 {
		t.Error("somebody else's success frees the name")
	}
}

func TestManyNamesFromOneAddressAreSlowedToo(t *testing.T) {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	b := newBackoff(c.now)
	here := netip.MustParseAddr("192.0.2.1")
	for i := range freeAtAddr + 1 {
		if wait := b.attempt(here, fmt.Sprint("user", i)); wait != 0 {
			t.Fatalf("name %d: wait %s", i, wait)
		}
	}
	total := time.Duration(0)
	for i := range 20 {
		wait := b.attempt(here, fmt.Sprint("more", i))
		total += wait
		c.forward(wait)
		b.attempt(here, fmt.Sprint("more", i))
	}
	if total < 10*time.Minute {
		t.Errorf("20 more names took %s only", total)
	}
	if wait := b.attempt(netip.MustParseAddr("198.51.100.1"), "otto"); wait != 0 {
		t.Errorf("somebody else somewhere else waits %s", wait)
	}
}

// A lane is for the name that has it. Whoever has one must not buy guesses at others' names with sign-ins of their own.
func TestSigningInOneselfGivesNoMoreGuessesAtOthers(t *testing.T) {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	b := newBackoff(c.now)
	here := netip.MustParseAddr("192.0.2.1")
	b.remember(here, "mole")
	guesses := 0
	for i := range 3600 {
		c.forward(time.Second)
		if b.attempt(here, fmt.Sprint("user", i)) == 0 {
			guesses++
		}
		if b.attempt(here, "mole") != 0 {
			t.Fatal("the mole is kept out")
		}
		b.forgive(here, "mole")
	}
	if most := freeAtAddr + 70; guesses > most {
		t.Errorf("%d names were guessed at in an hour, want %d at most", guesses, most)
	}
}

func TestGuessingANameIsSlowedFromEverywhere(t *testing.T) {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	b := newBackoff(c.now)
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	for i := range freeSlips + 1 {
		if wait := b.attempt(here, "anna"); wait != 0 {
			t.Fatalf("attempt %d: wait %s", i, wait)
		}
	}
	if wait := b.attempt(there, "anna"); wait == 0 {
		t.Errorf("the name is free from another address")
	}
	if wait := b.attempt(there, "otto"); wait != 0 {
		t.Errorf("somebody else somewhere else waits %s", wait)
	}
	total := time.Duration(0)
	for range 20 {
		wait := b.attempt(here, "anna")
		total += wait
		c.forward(wait)
		b.attempt(here, "anna")
	}
	if total < 10*time.Minute {
		t.Errorf("20 guesses took %s only", total)
	}
	c.forward(time.Minute)
	if wait := b.attempt(there, "anna"); wait > longestFor {
		t.Errorf("anna waits %s from elsewhere, want %s at most", wait, longestFor)
	}
}

func TestWhoHasSignedInFromAnAddressIsNotKeptOutByGuessersWithoutAPause(t *testing.T) {
	home := netip.MustParseAddr("203.0.113.9")
	for what, guess := range map[string]func(i int) (netip.Addr, string){
		"at names, from her own address": func(i int) (netip.Addr, string) { return home, fmt.Sprint("n", i) },
		"at her name, from everywhere": func(i int) (netip.Addr, string) {
			return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "tess"
		},
	} {
		t.Run(what, func(t *testing.T) {
			c := &clock{}
			c.ns.Store(time.Now().UnixNano())
			b := newBackoff(c.now)
			tries := func() (in int) {
				for i := range 3600 { // an hour; the guesser asks each second, she each minute
					c.forward(time.Second)
					b.attempt(guess(i))
					if i%60 == 59 && b.attempt(home, "tess") == 0 {
						in++
						b.forgive(home, "tess")
					}
				}
				return in
			}
			if in := tries(); in > 10 {
				t.Errorf("new at her address she got in %d times of 60: the guesser does not guess enough", in)
			}
			b.remember(home, "tess")
			if in := tries(); in != 60 {
				t.Errorf("known at her address she got in %d times of 60", in)
			}
			c.forward(laneTime)
			if in := tries(); in > 10 {
				t.Errorf("after a month away she got in %d times of 60", in)
			}
		})
	}
}

func TestALaneIsForOneNameAtOneAddressAndSlowsGuessingThere(t *testing.T) {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	b := newBackoff(c.now)
	home, away := netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("198.51.100.1")
	b.remember(home, "tess")
	for range freeSlips + 1 {
		b.attempt(home, "tess")
	}
	if b.attempt(home, "tess") == 0 {
		t.Error("guesses in the lane are free")
	}
	if b.attempt(away, "tess") == 0 {
		t.Error("the name is free elsewhere, as if it had its lane there")
	}
	for i := range mostLanes {
		b.remember(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), "tess")
	}
	if n := len(b.lanes["tess"]); n != mostLanes || b.hasLane(tried{home.String(), "tess"}, c.now()) {
		t.Errorf("got %d lanes, want the newest %d", n, mostLanes)
	}
}

func TestOnlyAWholeSignInMakesALane(t *testing.T) {
	s := newSite(t)
	b := s.browser().Open(s.ask())
	b.Submit("username", "anna", "password", "wrong password wrong")
	if len(s.backoff.lanes) != 0 {
		t.Errorf("after a wrong password: got %v", s.backoff.lanes)
	}
	b.Submit("username", "anna", "password", password)
	if b.At.Query().Get("code") == "" || len(s.backoff.lanes["anna"]) != 1 {
		t.Errorf("after a sign-in: got %s, %v", b.At, s.backoff.lanes)
	}
}

func TestManyGuessesAtOnceGainNothing(t *testing.T) {
	b := newBackoff(time.Now)
	var wg sync.WaitGroup
	var mu sync.Mutex
	free := 0
	for range 100 {
		wg.Go(func() {
			if b.attempt(netip.MustParseAddr("192.0.2.1"), "anna") == 0 {
				mu.Lock()
				defer mu.Unlock()
				free++
			}
		})
	}
	wg.Wait()
	if free != freeSlips+1 {
		t.Errorf("got %d attempts, want %d", free, freeSlips+1)
	}
}

func TestThePageSaysHowLongToWait(t *testing.T) {
	s := newSite(t)
	b := s.browser().Open(s.ask())
	for range freeSlips + 1 {
		b.Submit("username", "anna", "password", "wrong password wrong")
	}
	if b.Submit("username", "anna", "password", password); b.Status != http.StatusUnauthorized || !has(b.Body, "Wait 1 s") || b.Head.Get("Retry-After") == "" {
		t.Errorf("got %d %s", b.Status, b.Body)
	}
	s.clock.forward(time.Second)
	if b.Submit("username", "anna", "password", password); b.At.Query().Get("code") == "" {
		t.Errorf("after the wait: got %s %s", b.At, b.Body)
	}
}

func TestNoMoreSignInsWaitThanHavePlace(t *testing.T) {
	s := newSite(t)
	b := s.browser().Open(s.ask())
	var back []func()
	for {
		leave, ok := enter()
		if !ok {
			break
		}
		back = append(back, leave)
	}
	for range freeSlips + 2 { // more than anna has: none of them counts
		c := *b
		c.Submit("username", "anna", "password", password)
		if c.Status != http.StatusServiceUnavailable || c.Head.Get("Retry-After") == "" || !has(c.Body, "Too many people sign in at this moment", "try again") {
			t.Fatalf("got %d %v %s", c.Status, c.Head, c.Body)
		}
	}
	for _, leave := range back {
		leave()
	}
	if b.Submit("username", "anna", "password", password); b.At.Query().Get("code") == "" {
		t.Errorf("with places free again: got %d %s", b.Status, b.Body)
	}
	if len(signingIn) != 0 {
		t.Errorf("%d places are still taken", len(signingIn))
	}
}

func TestASecondFactorIsAskedAndCountsOnce(t *testing.T) {
	s := newSite(t)
	address, err := s.users.EnrolTOTP("anna", "Sallyport", s.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := otp.NewKeyFromURL(address)
	if err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(key.Secret(), s.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser().Open(s.ask()).Submit("username", "anna", "password", password)
	if !has(b.Body, `autocomplete="one-time-code"`) || b.At.Query().Get("code") != "" {
		t.Fatalf("no second page: %s", b.Body)
	}
	if n := len(s.backoff.lanes); n != 0 {
		t.Errorf("half a sign-in makes %d lanes", n)
	}
	stale := b.Body
	if b.Submit("code", "000000"); b.Status != http.StatusUnauthorized || !has(b.Body, "code is wrong") {
		t.Errorf("a wrong code: got %d %s", b.Status, b.Body)
	}
	b.Submit("code", code[:3]+" "+code[3:])
	if n := len(s.backoff.lanes["anna"+otpSlips]); n != 1 {
		t.Errorf("a whole one makes %d lanes for codes, want 1", n)
	}
	c := s.read(s.redeem(b.At.Query().Get("code")).ID)
	if amr, _ := c["amr"].([]any); len(amr) != 3 || amr[2] != "mfa" {
		t.Errorf("amr: got %v", c["amr"])
	}
	other := s.browser().Open(s.ask()).Submit("username", "anna", "password", password).Submit("code", code)
	if other.At.Query().Get("code") != "" || !has(other.Body, "used already") {
		t.Errorf("the same code was taken twice")
	}
	b.Body, b.At, _ = stale, mustParse(s.issuer+"/signin"), 0
	if b.Submit("code", code); b.Status != http.StatusUnauthorized || !has(b.Body, "took too long, or was finished already") {
		t.Errorf("an old page: got %d %s", b.Status, b.Body)
	}
}

func mustParse(s string) *url.URL { u, _ := url.Parse(s); return u }

func TestTheSecondFactorCannotBeGuessed(t *testing.T) {
	s := newSite(t)
	if _, err := s.users.EnrolTOTP("anna", "Sallyport", s.clock.now()); err != nil {
		t.Fatal(err)
	}
	b := s.browser().Open(s.ask()).Submit("username", "anna", "password", password)
	tries := 0
	for ; has(b.Body, `name="code"`) && tries < 20; tries++ {
		s.clock.forward(20 * time.Second)
		b.Submit("code", "000000")
	}
	if tries > maxTries+1 || !has(b.Body, "too often") {
		t.Errorf("got %d tries and %s", tries, b.Body)
	}
}

func TestACookiePlantedBeforeIsWorthNothingAfter(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	u := mustParse(s.issuer)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: s.cookieName(), Value: "planted", Path: "/"}})
	s.signIn(b)
	if _, ok := s.state.byCookie("planted"); ok {
		t.Errorf("the planted cookie is signed in")
	}
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == s.cookieName() && c.Value == "planted" {
			t.Errorf("the cookie was not changed at sign-in")
		}
	}
}

func TestTheSamePersonKeepsTheirSessionAndAnybodyElseEndsIt(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	first := s.redeem(s.signIn(b))
	s.clock.forward(time.Minute)
	second := s.redeem(s.signIn(b, "prompt", "login"))
	was, is := s.read(first.ID), s.read(second.ID)
	if was["sid"] != is["sid"] || was["auth_time"] == is["auth_time"] {
		t.Errorf("anna again: got sid %v auth_time %v, before %v %v", is["sid"], is["auth_time"], was["sid"], was["auth_time"])
	}
	b.Open(s.ask("prompt", "login")).Submit("username", "otto", "password", password)
	if got := s.heard(); len(got) != 1 || s.read(got[0])["sid"] != was["sid"] {
		t.Errorf("the client heard %d logouts, want one of anna's session", len(got))
	}
	if got := s.renew(second.Refresh); got.Code != "invalid_grant" {
		t.Errorf("anna's refresh token after otto signed in: got %+v", got)
	}
}

func TestAForeignPageCannotSignSomebodyIn(t *testing.T) {
	s := newSite(t)
	b := s.browser().Open(s.ask())
	form := url.Values{"username": {"anna"}, "password": {password}, "back": {s.ask()[len(s.issuer)-4:]}}
	r, _ := http.NewRequest("POST", s.issuer+"/signin", nil)
	r.URL.RawQuery = form.Encode()
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if b.Took(b.Do(r)); b.Status != http.StatusForbidden {
		t.Errorf("got %d", b.Status)
	}
	for _, back := range []string{"https://evil.example/", "//evil.example/idp/authorize", "/idp/jwks", "/other", ""} {
		form.Set("back", back)
		if b.Took(b.PostForm(s.issuer+"/signin", form)); b.Status != http.StatusBadRequest {
			t.Errorf("back to %q: got %d", back, b.Status)
		}
	}
}

func TestUsersThatMustNotBeMade(t *testing.T) {
	s := newSite(t)
	for name, c := range map[string]struct {
		user, password string
		want           errkind.Kind
	}{
		"a short password":  {"berta", "short", errkind.Usage},
		"a name with space": {"b erta", password, errkind.Usage},
		"no name":           {"", password, errkind.Usage},
		"a name twice":      {"Anna", password, errkind.Conflict},
	} {
		if _, err := s.users.Add(User{Name: c.user}, c.password); errkind.KindOf(err) != c.want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestANewPasswordEndsWhatTheOldOneOpened(t *testing.T) {
	for name, change := range map[string]func(*site) error{
		"a new password": func(s *site) error { return s.users.SetPassword("anna", "another long password", s.clock.now()) },
		"disabled": func(s *site) error {
			return s.users.Change("anna", func(u *User) error { u.Disabled = true; return nil })
		},
		"removed": func(s *site) error { return s.users.Remove("anna") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			b := s.browser()
			got := s.redeem(s.signIn(b))
			s.clock.forward(time.Minute)
			if err := change(s); err != nil {
				t.Fatal(err)
			}
			if again := s.renew(got.Refresh); again.Code != "invalid_grant" {
				t.Errorf("refresh: got %+v", again)
			}
			if code := s.userInfo(got.Access); code != http.StatusUnauthorized {
				t.Errorf("userinfo: got %d", code)
			}
			if b.Open(s.ask("prompt", "none")); b.At.Query().Get("error") != "login_required" {
				t.Errorf("the browser: got %s", b.At)
			}
			s.sweep()
			if heard := s.heard(); len(heard) != 1 {
				t.Errorf("the client heard %d logouts, want 1", len(heard))
			}
		})
	}
}

func TestTwoProcessesMayChangeUsersAtOnce(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			u, err := OpenUsers(dir)
			if err == nil {
				_, err = u.Add(User{Name: string(rune('a' + i))}, password)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	u, err := OpenUsers(dir)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := u.All(); err != nil || len(all) != 6 {
		t.Errorf("got %d users, %v; want 6", len(all), err)
	}
}
