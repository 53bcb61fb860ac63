package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/authz"
	"github.com/sallyport/sallyport/gateway"
	"github.com/sallyport/sallyport/internal/enroll"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/signer"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/wire"
	"github.com/sallyport/sallyport/web/apitype"
)

// Office enrols, admits, relabels and revokes devices. *enroll.Office is one.
type Office interface {
	CreateToken(ctx context.Context, actor enroll.Actor, s enroll.TokenSpec) (wire.JoinCode, store.JoinToken, error)
	Tokens(ctx context.Context) ([]store.JoinToken, error)
	RevokeToken(ctx context.Context, actor enroll.Actor, token [16]byte) error
	Admit(ctx context.Context, by signer.Evidence, actor enroll.Actor, name id.Device, a enroll.Admission) (store.Device, error)
	Label(ctx context.Context, by signer.Evidence, actor enroll.Actor, name id.Device, labels map[string]string) (store.Device, error)
	Place(ctx context.Context, by signer.Evidence, actor enroll.Actor, to signer.Device) (store.Device, error)
	Revoke(ctx context.Context, actor enroll.Actor, name id.Device, why string) (store.Device, error)
}

func (a *API) registerDevices() {
	handle(a, huma.Operation{OperationID: "list-devices", Method: http.MethodGet, Path: "/api/v1/devices", Tags: []string{"devices"},
		Summary: "Devices that are visible to the caller", Description: "Administrators see all; owners those at their sites; everybody else those a rule of the policy is about."}, a.listDevices)
	handle(a, huma.Operation{OperationID: "get-device", Method: http.MethodGet, Path: "/api/v1/devices/{name}", Tags: []string{"devices"}, Summary: "One device"}, a.getDevice)
	handle(a, huma.Operation{OperationID: "admit-device", Method: http.MethodPost, Path: "/api/v1/devices/{name}/admit", Tags: []string{"devices"},
		Summary: "Admit a waiting, locked or disputed device", Description: "Needs the duty administer."}, a.admitDevice)
	handle(a, huma.Operation{OperationID: "revoke-device", Method: http.MethodPost, Path: "/api/v1/devices/{name}/revoke", Tags: []string{"devices"},
		Summary: "Revoke a device for good", Description: "Needs the duty administer. Its sessions end at once."}, a.revokeDevice)
	handle(a, huma.Operation{OperationID: "tell-device-online", Method: http.MethodPost, Path: "/api/v1/devices/{name}/tell-online", Tags: []string{"devices"},
		Summary: "Get one mail when an offline device is online", Description: "For every person who can see the device. API tokens are refused. The wish expires after 30 days."}, a.tellOnline)
	handle(a, huma.Operation{OperationID: "cancel-tell-device-online", Method: http.MethodDelete, Path: "/api/v1/devices/{name}/tell-online", Tags: []string{"devices"},
		Summary: "Do not get that mail"}, a.cancelTellOnline)
	handle(a, huma.Operation{OperationID: "label-device", Method: http.MethodPost, Path: "/api/v1/devices/{name}/labels", Tags: []string{"devices"},
		Summary: "Set labels", Description: "Needs the duty administer. Live sessions are decided again. " + maybeProposed}, a.labelDevice)
}

type listDevices struct {
	Text  string `query:"text" maxLength:"200" doc:"part of name, site or a label's value"`
	Site  string `query:"site" maxLength:"200"`
	State string `query:"state" maxLength:"20" enum:"waiting,ok,locked,revoked,disputed"`
}

// DeviceName is the part of an address that names a device.
type DeviceName struct {
	Name string `path:"name" maxLength:"63"`
}

// view is who looks at devices: everything, the sites they own, and what the policy makes visible.
type view struct {
	who   *Asker
	snap  *authz.Snapshot
	all   bool
	sites []string
	now   time.Time
}

func (a *API) view(ctx context.Context, who *Asker) (view, error) {
	v := view{who: who, snap: a.cfg.Rules.Snapshot(), all: who.has(authz.DutyAdminister), now: a.cfg.Now()}
	var err error
	if who.has(authz.DutyOwn) {
		v.sites, err = a.cfg.Store.SitesOwnedBy(ctx, who.Person.ID)
	}
	return v, err
}

// inside reports whether the caller is told everything about the device: where it calls from, its serial.
func (v *view) inside(d store.Device) bool {
	return v.all || d.Site != "" && slices.Contains(v.sites, d.Site)
}

// sees reports whether the caller may know that the device exists. One that nobody admitted, or that is revoked, is the
// administrators' and the owner's matter.
func (v *view) sees(d store.Device) bool {
	if v.inside(d) {
		return true
	}
	return d.State != store.Waiting && d.State != store.Revoked && v.snap.Visible(v.who.Person, asked(d), v.now)
}

// visible gives the devices a caller may see, of those that read gives.
func (a *API) visible(ctx context.Context, who *Asker, read func(context.Context) ([]store.Device, error)) (view, []store.Device, error) {
	v, err := a.view(ctx, who)
	if err != nil {
		return v, nil, err
	}
	all, err := read(ctx)
	if err != nil {
		return v, nil, err
	}
	return v, slices.DeleteFunc(all, func(d store.Device) bool { return !v.sees(d) }), nil
}

func (a *API) listDevices(ctx context.Context, who *Asker, in *listDevices) (*answer[[]apitype.Device], error) {
	read := a.cfg.Store.AllDevices
	if in.State == string(store.Revoked) { // they are kept apart: nobody meets them who does not ask for them
		read = a.cfg.Store.RevokedDevices
	}
	v, rows, err := a.visible(ctx, who, read)
	if err != nil {
		return nil, err
	}
	out := []apitype.Device{}
	for _, d := range rows {
		if matches(in, d) {
			out = append(out, a.shownDevice(v, d))
		}
	}
	return body(out)
}

func matches(in *listDevices, d store.Device) bool {
	if in.State != "" && string(d.State) != in.State || in.Site != "" && d.Site != in.Site {
		return false
	}
	text := strings.ToLower(in.Text)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
	if has(string(d.Name)) || has(d.Site) {
		return true
	}
	for _, v := range d.Labels {
		if has(v) {
			return true
		}
	}
	return false
}

// device gives one the caller may see. Absent and invisible read the same.
func (a *API) device(ctx context.Context, who *Asker, name string) (view, store.Device, error) {
	v, err := a.view(ctx, who)
	if err != nil {
		return v, store.Device{}, err
	}
	unseen := authz.Invisible(id.Device(name))
	not := errkind.New(errkind.NotFound, unseen.Text).WithHint(unseen.Nearest)
	if _, err := id.ParseDevice(name); err != nil {
		return v, store.Device{}, not
	}
	d, err := a.cfg.Store.Device(ctx, id.Device(name))
	switch {
	case err == nil && v.sees(d):
		return v, d, nil
	case err == nil || errkind.KindOf(err) == errkind.NotFound:
		return v, store.Device{}, not
	}
	return v, store.Device{}, err
}

func (a *API) getDevice(ctx context.Context, who *Asker, in *DeviceName) (*answer[apitype.Device], error) {
	v, d, err := a.device(ctx, who, in.Name)
	if err != nil {
		return nil, err
	}
	awaited, err := a.awaited(ctx, who)
	out := a.shownDevice(v, d)
	out.TellOnline = awaited[d.FP]
	return &answer[apitype.Device]{out}, err
}

// changed answers with the device as it is now, after live sessions were decided again.
func (a *API) changed(ctx context.Context, who *Asker, d store.Device, err error) (*answer[apitype.Device], error) {
	if err != nil {
		return nil, a.waits(context.WithoutCancel(ctx), who, err)
	}
	a.cfg.Broker.Revalidate(context.WithoutCancel(ctx))
	v, err := a.view(ctx, who)
	if err != nil {
		return nil, err
	}
	return body(a.shownDevice(v, d))
}

func (a *API) admitDevice(ctx context.Context, who *Asker, in *struct {
	DeviceName
	Body apitype.Admit
}) (*answer[apitype.Device], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	if err := who.fitting(in.Body.Labels); err != nil {
		return nil, err
	}
	_, d, err := a.device(ctx, who, in.Name)
	if err != nil {
		return nil, err
	}
	d, err = a.cfg.Office.Admit(ctx, who.Evidence, who.actor(), d.Name, enroll.Admission{Name: in.Body.Name, Site: in.Body.Site, Labels: in.Body.Labels, Fingerprint: in.Body.Fingerprint})
	return a.changed(ctx, who, d, err)
}

func (a *API) revokeDevice(ctx context.Context, who *Asker, in *struct {
	DeviceName
	Body apitype.Reason
}) (*answer[apitype.Device], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	_, d, err := a.device(ctx, who, in.Name)
	if err != nil {
		return nil, err
	}
	d, err = a.cfg.Office.Revoke(ctx, who.actor(), d.Name, in.Body.Reason)
	a.cfg.Broker.Revalidate(context.WithoutCancel(ctx)) // whatever failed on the way: what takes away does not wait
	return a.changed(ctx, who, d, err)
}

func (a *API) labelDevice(ctx context.Context, who *Asker, in *struct {
	DeviceName
	Body apitype.Labels
}) (*answer[apitype.Device], error) {
	if err := who.needs(authz.DutyAdminister); err != nil {
		return nil, err
	}
	if err := who.fitting(in.Body.Labels); err != nil {
		return nil, err
	}
	_, d, err := a.device(ctx, who, in.Name)
	if err != nil {
		return nil, err
	}
	d, err = a.cfg.Office.Label(ctx, who.Evidence, who.actor(), d.Name, in.Body.Labels)
	return a.changed(ctx, who, d, err)
}

// fitting refuses labels that the policy does not know: they would make a device that nobody can reach, and whoever mistyped one
// would learn it from the first technician who fails.
func (who *Asker) fitting(labels map[string]string) error {
	wrong := who.policy.CheckNewLabels(labels)
	if len(wrong) == 0 {
		return nil
	}
	return errkind.New(errkind.Usage, strings.Join(wrong, "; ")).WithHint("Use what [labels] of the policy declares, or declare it there first: `sallyport policy apply`.")
}

func (a *API) shownDevice(v view, d store.Device) apitype.Device {
	out := apitype.Device{
		Name: d.Name, Site: d.Site, Labels: d.Labels, State: string(d.State), Online: d.Online(), LastSeen: when(d.LastSeen), Frozen: d.Frozen,
		Tunnel: d.Tunnel, Fingerprint: enroll.Fingerprint(d.FP), Live: a.cfg.Broker.LiveOn(d.Name),
	}
	if d.State == store.Revoked {
		out.Live = 0 // its sessions have ended; what runs is on the machine that has its name now
	}
	if out.Labels == nil {
		out.Labels = map[string]string{}
	}
	if v.snap.Policy != nil {
		out.Problems = v.snap.Policy.CheckLabels(d.Site, d.Labels)
	}
	if why := gateway.OutdatedAgent(d); why != "" && d.State != store.Revoked {
		out.Outdated, out.Problems = true, append(out.Problems, why+": "+wire.UpdateAgent)
	}
	if !v.inside(d) {
		return out
	}
	out.Serial, out.HostName, out.OS, out.Agent, out.Address = d.Serial, d.HostName, d.OS, d.Agent, d.LastAddr
	out.EnrolledAt, out.AdmittedAt, out.AdmittedBy = when(d.EnrolledAt), when(d.AdmittedAt), d.AdmittedBy
	out.Why, out.ClockSkewMS, out.LogSize = d.StateWhy, d.ClockSkew.Milliseconds(), d.LogSize
	if d.Dispute != nil {
		out.Why = d.Dispute.Why
	}
	return out
}
