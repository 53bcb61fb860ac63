package idp

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
)

type started struct {
	Device string `json:"device_code"`
	User   string `json:"user_code"`
	Full   string `json:"verification_uri_complete"`
	Each   int    `json:"interval"`
	Error  string `json:"error"`
}

func (s *site) startDevice(client string) started {
	s.t.Helper()
	res, err := http.PostForm(s.issuer+"/device/authorize", url.Values{"client_id": {client}, "scope": {"openid profile"}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var d started
	if err := json.NewDecoder(res.Body).Decode(&d); err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *site) poll(device string) reply {
	s.t.Helper()
	return s.token("client_id", "tool", "client_secret", "", "grant_type", grantDevice, "device_code", device)
}

func TestADeviceIsSignedInByAPersonElsewhere(t *testing.T) {
	s := newSite(t)
	d := s.startDevice("tool")
	if d.Each != 5 || len(d.User) != 9 {
		t.Errorf("got %+v", d)
	}
	if got := s.poll(d.Device); got.Code != "authorization_pending" {
		t.Errorf("first question: got %+v", got)
	}
	if got := s.poll(d.Device); got.Code != "slow_down" {
		t.Errorf("too fast: got %+v", got)
	}
	s.clock.forward(6 * time.Second)
	if got := s.poll(d.Device); got.Code != "slow_down" {
		t.Errorf("too fast by the longer interval: got %+v", got)
	}
	b := s.browser().Open(d.Full).Submit("username", "anna", "password", password)
	if !has(b.Body, d.User, "A. Berg", "127.0.0.1", "tool") {
		t.Fatalf("the page does not say who asks from where: %s", b.Body)
	}
	b.Submit("answer", "allow")
	s.clock.forward(30 * time.Second)
	got := s.poll(d.Device)
	if got.ID == "" || s.read(got.ID)["name"] != "A. Berg" {
		t.Fatalf("got %+v", got)
	}
	if again := s.poll(d.Device); again.Code != "invalid_grant" {
		t.Errorf("a second time: got %+v", again)
	}
	if r := s.token("client_id", "tool", "client_secret", "", "grant_type", "refresh_token", "refresh_token", got.Refresh); r.ID == "" {
		t.Errorf("refresh: got %+v", r)
	}
}

func TestADeviceThatIsRefusedOrLateHearsSo(t *testing.T) {
	s := newSite(t)
	d := s.startDevice("tool")
	b := s.browser().Open(d.Full).Submit("username", "anna", "password", password)
	if b.Submit("answer", "deny"); !has(b.Body, "was refused") {
		t.Errorf("got %s", b.Body)
	}
	if got := s.poll(d.Device); got.Code != "access_denied" {
		t.Errorf("got %+v", got)
	}
	d = s.startDevice("tool")
	s.clock.forward(pending.CodeTime)
	if got := s.poll(d.Device); got.Code != "expired_token" {
		t.Errorf("got %+v", got)
	}
	if b.Open(d.Full); !has(b.Body, "wrong, has expired or was used") {
		t.Errorf("the page of a late code: %s", b.Body)
	}
	if got := s.poll("made-up"); got.Code != "invalid_grant" {
		t.Errorf("a made-up code: got %+v", got)
	}
	if got := s.startDevice("web"); got.Error != "invalid_client" {
		t.Errorf("a client without its secret: got %+v", got)
	}
}

func TestUserCodesCannotBeGuessed(t *testing.T) {
	s := newSite(t)
	b := s.browser()
	s.signIn(b)
	for range freeSlips + 1 {
		b.Open(s.issuer + "/device?user_code=BBBB-BBBB")
	}
	if b.Open(s.issuer + "/device?user_code=BBBB-BBBC"); !has(b.Body, "too many attempts") {
		t.Errorf("got %s", b.Body)
	}
}
