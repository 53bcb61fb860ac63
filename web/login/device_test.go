package login

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/internal/testenv"
	"github.com/sallyport/sallyport/web/apitype"
)

func (s *site) startDevice() apitype.DeviceStart {
	s.t.Helper()
	var d apitype.DeviceStart
	if got := s.post("/api/v1/login/device", struct{}{}, &d); got != http.StatusOK {
		s.t.Fatalf("begin: got %d", got)
	}
	return d
}

// poll is one question of the machine; status is that of its wait, or empty.
func (s *site) poll(code string) (http int, status, bearer string) {
	s.t.Helper()
	var out struct {
		apitype.DeviceWait
		apitype.CLIToken
	}
	http = s.post("/api/v1/login/device/token", apitype.DeviceAsk{DeviceCode: code}, &out)
	return http, out.Status, out.Bearer
}

func TestAMachineWithoutABrowserIsSignedInElsewhere(t *testing.T) {
	s := newSite(t)
	d := s.startDevice()
	if d.Interval != 5 || len(d.UserCode) != 9 || !strings.HasPrefix(d.Verify, s.url) {
		t.Errorf("got %+v", d)
	}
	if code, status, _ := s.poll(d.DeviceCode); code != http.StatusAccepted || status != "pending" {
		t.Errorf("first: got %d %s", code, status)
	}
	if code, status, _ := s.poll(d.DeviceCode); code != http.StatusAccepted || status != "slow_down" {
		t.Errorf("at once again: got %d %s", code, status)
	}
	s.clock.forward(6 * time.Second)
	if _, status, _ := s.poll(d.DeviceCode); status != "slow_down" {
		t.Errorf("within the longer interval: got %s", status)
	}
	b := s.signIn(s.browser()).Open(d.VerifyFull)
	if !has(b.Body, d.UserCode, "127.0.0.1", "technician") {
		t.Fatalf("the page does not say who asks from where: %s", b.Body)
	}
	b.Submit("answer", "allow")
	s.clock.forward(30 * time.Second)
	code, _, text := s.poll(d.DeviceCode)
	if who, err := s.Who(bearer(text)); code != http.StatusOK || err != nil || who.Via != "cli" || who.Person.Name != "technician" {
		t.Errorf("got %d, %+v, %v", code, who, err)
	}
	if code, _, _ := s.poll(d.DeviceCode); code != http.StatusNotFound {
		t.Errorf("the same code again: got %d", code)
	}
}

func has(s string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

func TestAMachineThatIsRefusedOrLateHearsSo(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	d := s.startDevice()
	b.Open(d.VerifyFull).Submit("answer", "deny")
	if code, _, _ := s.poll(d.DeviceCode); code != http.StatusForbidden {
		t.Errorf("denied: got %d", code)
	}
	d = s.startDevice()
	b.Open(d.VerifyFull)
	s.clock.forward(pending.CodeTime)
	if b.Submit("answer", "allow"); b.Status != http.StatusConflict {
		t.Errorf("allowed too late: got %d", b.Status)
	}
	if code, _, _ := s.poll(d.DeviceCode); code != http.StatusForbidden {
		t.Errorf("expired: got %d", code)
	}
	if code, _, _ := s.poll("made-up"); code != http.StatusNotFound {
		t.Errorf("a made-up code: got %d", code)
	}
}

func TestASignInThatEndedSignsNoMachineIn(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	d := s.startDevice()
	b.Open(d.VerifyFull).Submit("answer", "allow")
	s.end(t.Context(), s.who(b).hash, "signed out")
	if code, _, text := s.poll(d.DeviceCode); code != http.StatusUnauthorized || text != "" {
		t.Errorf("got %d", code)
	}
}

func TestUserCodesCannotBeGuessed(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	d := s.startDevice()
	guess := func() *testenv.Browser {
		return b.Open(s.url + "/login/device?" + url.Values{"code": {"BBBB-BBBB"}}.Encode())
	}
	for range 10 {
		guess()
	}
	if guess(); !has(b.Body, "too many attempts") {
		t.Errorf("the 11th guess: %s", b.Body)
	}
	if b.Open(d.VerifyFull); has(b.Body, `name="answer"`) {
		t.Error("a right code after too many wrong ones is taken")
	}
}

func TestAnswersToMadeUpCodesAreBounded(t *testing.T) {
	s := newSite(t)
	b := s.signIn(s.browser())
	d := s.startDevice()
	b.Open(d.VerifyFull) // counts as one
	page := b.Body
	for range 9 {
		b.Body = page
		if b.Submit("code", "BBBB-BBBB", "answer", "allow"); b.Status != http.StatusConflict {
			t.Fatalf("a made-up code: got %d", b.Status)
		}
	}
	b.Body = page
	if b.Submit("answer", "allow"); b.Status != http.StatusTooManyRequests {
		t.Errorf("the right one after too many: got %d", b.Status)
	}
}
