package main

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/web/apitype"
)

type devicesCmd struct {
	List   devicesListCmd   `cmd:"" aliases:"ls" help:"List the devices that are visible to you."`
	Show   devicesShowCmd   `cmd:"" help:"Show one device, and what you may do there."`
	Admit  devicesAdmitCmd  `cmd:"" help:"Let a waiting device in."`
	Revoke devicesRevokeCmd `cmd:"" help:"End a device for good. Its sessions end at once."`
	Label  devicesLabelCmd  `cmd:"" help:"Set labels: k=v; k= removes one."`
	Tell   devicesTellCmd   `cmd:"" name:"tell-online" help:"Get one mail when an offline device is online."`
}

type oneDevice struct {
	Device string `arg:"" help:"The device's name."`
}

func (d oneDevice) path(rest string) string {
	return "/api/v1/devices/" + url.PathEscape(d.Device) + rest
}

type devicesListCmd struct {
	listing
	State string `placeholder:"S" enum:",waiting,ok,locked,revoked,disputed" default:"" help:"Only those in this state: waiting, ok, locked, revoked or disputed."`
	Site  string `placeholder:"S" help:"Only those at this site."`
	Text  string `placeholder:"TEXT" help:"Only those with this in name, site or a label."`
}

func (c *devicesListCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	q := url.Values{}
	for k, v := range map[string]string{"state": c.State, "site": c.Site, "text": c.Text} {
		if v != "" {
			q.Set(k, v)
		}
	}
	var rows []apitype.Device
	if err := cl.Get(a.context(), "/api/v1/devices", q, &rows); err != nil {
		return err
	}
	return show(a, c.listing, rows, "No device that you may see matches.",
		"NAME STATE LINE SITE LABELS LIVE", func(d apitype.Device) []string {
			return []string{string(d.Name), stateText(d), lineText(d), d.Site, labels(d.Labels), fmt.Sprint(d.Live)}
		})
}

func stateText(d apitype.Device) string {
	if d.Frozen {
		return d.State + ", frozen"
	}
	return d.State
}

func lineText(d apitype.Device) string {
	if d.Online {
		return "online"
	}
	if d.Outdated {
		return "offline, update its agent"
	}
	return "offline"
}

func labels(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+"="+m[k])
	}
	return strings.Join(out, ",")
}

type devicesShowCmd struct {
	oneDevice
	JSON bool `name:"json" help:"Print JSON, for programs."`
}

func (c *devicesShowCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var d apitype.Device
	if err := cl.Get(a.context(), c.path(""), nil, &d); err != nil {
		return err
	}
	if c.JSON {
		return a.json(d)
	}
	var work apitype.MyWork
	if err := cl.Get(a.context(), "/api/v1/work", nil, &work); err != nil {
		return err
	}
	return page(a.stdout, append(deviceFields(d), mine(work, d)...))
}

func deviceFields(d apitype.Device) []field {
	return []field{
		{"device", string(d.Name)}, {"state", stateText(d)}, {"why", d.Why}, {"line", lineText(d)}, {"last seen", at(d.LastSeen)}, {"tunnel", d.Tunnel}, {"clock", skewText(d.ClockSkewMS)},
		{"site", d.Site}, {"labels", labels(d.Labels)}, {"problems", strings.Join(d.Problems, "; ")}, {"fingerprint", d.Fingerprint}, {"serial", d.Serial},
		{"host name", d.HostName}, {"system", d.OS}, {"agent", d.Agent}, {"address", d.Address}, {"enrolled", at(d.EnrolledAt)}, {"admitted", at(d.AdmittedAt)},
		{"admitted by", d.AdmittedBy}, {"live sessions", fmt.Sprint(d.Live)},
	}
}

// skewText says how far the machine's own clock is off, if it is worth a word.
func skewText(ms int64) string {
	which := "ahead"
	if ms < 0 {
		which = "behind"
	}
	switch seconds := max(ms/1000, -(ms / 1000)); {
	case seconds <= 5:
		return ""
	case seconds >= 2*24*3600:
		return fmt.Sprintf("%d days %s", seconds/(24*3600), which)
	default:
		return (time.Duration(seconds) * time.Second).String() + " " + which
	}
}

// mine says what the caller may do on the device.
func mine(work apitype.MyWork, d apitype.Device) []field {
	var out []field
	for _, w := range work.Devices {
		if w.Device.Name != d.Name {
			continue
		}
		for _, r := range w.CanOpen {
			out = append(out, field{"you can open", r.Text + " (" + r.Rule + ")"})
		}
		for _, r := range w.CanAsk {
			out = append(out, field{"you can ask for", r.Text + " (" + r.Rule + ": " + strings.Join(r.Open, "; ") + ")"})
		}
		out = append(out, field{"not now", w.Refused})
	}
	if len(out) == 0 { // an administrator, or the device's owner
		out = append(out, field{"you can open", "nothing: no rule of the policy gives you a session here"})
	}
	return out
}

type devicesAdmitCmd struct {
	oneDevice
	Name        string            `placeholder:"NAME" help:"Give it another name."`
	Site        string            `placeholder:"S" help:"The site it stands at."`
	Label       map[string]string `placeholder:"k=v" help:"A label; may repeat."`
	Fingerprint string            `placeholder:"SHA256:…" help:"Refuse it unless its key has this fingerprint, as \"sallyport-agent status\" shows it."`
}

func (c *devicesAdmitCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	var d apitype.Device
	in := apitype.Admit{Name: c.Name, Site: c.Site, Labels: c.Label, Fingerprint: c.Fingerprint}
	if err := cl.Post(a.context(), c.path("/admit"), in, &d); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s is admitted: %s\n", safe(string(d.Name)), safe(d.Fingerprint))
	for _, p := range d.Problems {
		fmt.Fprintf(a.stderr, "no session can open on it yet: %s\n", safe(p))
	}
	return nil
}

type devicesRevokeCmd struct {
	oneDevice
	Reason because `short:"r" placeholder:"TEXT" help:"Why; kept in the log."`
}

func (c *devicesRevokeCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	return cl.Post(a.context(), c.path("/revoke"), apitype.Reason{Reason: string(c.Reason)}, nil)
}

type devicesTellCmd struct {
	oneDevice
	Cancel bool `help:"Do not get the mail."`
}

func (*devicesTellCmd) Help() string {
	return `The gateway sends you one mail when the device is online, within 30 days. It needs a mail server, and an email address of you.

  sallyport devices tell-online press-1
  sallyport devices tell-online press-1 --cancel`
}

func (c *devicesTellCmd) Run(a *app) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if c.Cancel {
		return cl.Delete(a.context(), c.path("/tell-online"))
	}
	if err := cl.Post(a.context(), c.path("/tell-online"), nil, nil); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "You get a mail when %s is online.\n", safe(c.Device))
	return nil
}

type devicesLabelCmd struct {
	oneDevice
	Labels []string `arg:"" name:"k=v" help:"Labels to set; \"k=\" removes one."`
}

func (c *devicesLabelCmd) Run(a *app) error {
	set := map[string]string{}
	for _, l := range c.Labels {
		k, v, ok := strings.Cut(l, "=")
		if !ok || k == "" {
			return usageError(fmt.Sprintf("%q is not a label", l), "Write name=value, or name= to remove one.")
		}
		if _, twice := set[k]; twice {
			return usageError(fmt.Sprintf("the label %q is given twice", k), "Give it once.")
		}
		set[k] = v
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	var d apitype.Device
	if err := cl.Post(a.context(), c.path("/labels"), apitype.Labels{Labels: set}, &d); err != nil {
		return err
	}
	fmt.Fprintln(a.stdout, safe(labels(d.Labels)))
	return nil
}
