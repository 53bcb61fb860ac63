package login

import (
	"net/http"
	"net/netip"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/page"
	"github.com/sallyport/sallyport/internal/pending"
	"github.com/sallyport/sallyport/web/apitype"
	"github.com/sallyport/sallyport/web/problem"
)

// asking is a command line on a machine without a browser that waits for somebody to agree.
type asking struct {
	addr netip.Addr
}

func (s *Service) serveDeviceStart(w http.ResponseWriter, r *http.Request) {
	addr := s.cfg.Addr(r)
	err := s.starts.take(s.from(r))
	if err != nil {
		problem.Write(w, s.cfg.Log, err)
		return
	}
	device, user, err := s.devices.Begin(asking{addr}, pending.Network(addr))
	if err != nil {
		problem.Write(w, s.cfg.Log, err)
		return
	}
	verify := s.cfg.URL + "/login/device"
	answer(w, http.StatusOK, apitype.DeviceStart{DeviceCode: device, UserCode: user, Verify: verify, VerifyFull: verify + "?code=" + user,
		ExpiresIn: int(pending.CodeTime.Seconds()), Interval: int(pending.CodeInterval.Seconds())})
}

func (s *Service) serveDeviceToken(w http.ResponseWriter, r *http.Request) {
	var in apitype.DeviceAsk
	if err := readBody(r, &in); err != nil {
		problem.Write(w, s.cfg.Log, err)
		return
	}
	session, interval, status := s.devices.Poll(in.DeviceCode, func(asking) bool { return true })
	again := "Run `sallyport login` again."
	switch status {
	case pending.Answered:
		s.giveBearer(w, r, session)
	case pending.Waiting:
		answer(w, http.StatusAccepted, apitype.DeviceWait{Status: "pending", Interval: int(interval.Seconds())})
	case pending.TooFast:
		answer(w, http.StatusAccepted, apitype.DeviceWait{Status: "slow_down", Interval: int(interval.Seconds())})
	case pending.Denied:
		problem.Write(w, s.cfg.Log, errkind.New(errkind.Denied, "this sign-in was refused in the browser").WithHint(again))
	case pending.Expired:
		problem.Write(w, s.cfg.Log, errkind.New(errkind.Denied, "nobody confirmed this sign-in within ten minutes").WithHint(again))
	default:
		problem.Write(w, s.cfg.Log, errkind.New(errkind.NotFound, "this sign-in is unknown, or was finished already").WithHint(again))
	}
}

// serveDevice asks for the code, and then whether it is really the person's own command line: somebody else may have sent
// them the code.
func (s *Service) serveDevice(w http.ResponseWriter, r *http.Request) {
	who, err := s.browser(r)
	if err != nil {
		s.signInFirst(w, r, err)
		return
	}
	code := r.URL.Query().Get("code")
	d := confirmPage{Action: "/login/device", Who: who.Person.Name}
	if code != "" {
		q, user, ok := s.devices.Find(code)
		switch err := s.guesses.take(who.Key); {
		case err != nil:
			d.Error = "There were too many attempts. Wait a minute, then try again."
		case !ok:
			d.Error = "This code is wrong, has expired or was used."
		default:
			d.Code, d.From = user, text(q.addr)
		}
	}
	s.pages.Write(w, page.Page{Name: "device", Title: "Sign in another machine", Data: d})
}

func (s *Service) serveDeviceAnswer(w http.ResponseWriter, r *http.Request) {
	who, err := s.browser(r)
	if err == nil {
		err = s.guesses.take(who.Key)
	}
	if err != nil {
		s.showError(w, err, "")
		return
	}
	allow := r.PostFormValue("answer") == "allow"
	var yes *[32]byte
	if allow {
		yes = &who.hash
	}
	if !s.devices.Answer(r.PostFormValue("code"), yes) {
		s.showError(w, errkind.New(errkind.Conflict, "this code is wrong, has expired or was answered already").WithHint("Run `sallyport login` again."), "")
		return
	}
	done := "The other machine was refused."
	if allow {
		done = "The other machine is signed in. You can close this page."
	}
	s.pages.Write(w, page.Page{Name: "done", Title: "Done", Data: done})
}
