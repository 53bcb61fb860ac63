package authz

import (
	"cmp"
	"hash/maphash"
	"math/bits"
	"slices"

	"github.com/sallyport/sallyport/internal/id"
)

// Snapshot is the policy and the grants that one decision uses.
type Snapshot struct {
	Policy *Policy
	Grants []Grant

	byHolder holders // when it has len(Grants) grants
}

// NewSnapshot builds a snapshot with an index over the grants. Neither may change afterwards.
func NewSnapshot(p *Policy, grants []Grant) *Snapshot {
	return &Snapshot{Policy: p, Grants: grants, byHolder: indexGrants(grants)}
}

// eachGrant calls use for every grant of the request's person on its device, until use returns false. A machine has no
// grants: its principal is its maker's, whose grants are not for it. A snapshot that NewSnapshot did not make has no
// index, so all its grants are searched.
func (s *Snapshot) eachGrant(r *Request, use func(*Grant) bool) {
	if r.Person.Machine != "" {
		return
	}
	if s.indexed() {
		s.byHolder.each(s.Grants, r.Person.ID, r.Device.Name, use)
		return
	}
	for i := range s.Grants {
		if g := &s.Grants[i]; g.isOf(r.Person.ID, r.Device.Name) && !use(g) {
			return
		}
	}
}

// indexed reports whether the index has all grants.
func (s *Snapshot) indexed() bool { return len(s.byHolder.next) == len(s.Grants) }

func (g *Grant) isOf(who id.Principal, device id.Device) bool {
	return g.Device == device && g.Who == who
}

// holders finds the grants of a person on a device. It is a hash table whose chains have the grants that end last first, so
// that a decision skips most others of the same person. Grants that end together keep their order. So the random seed
// changes no answer. A map takes twice the time and several times the memory, because it repeats the keys.
type holders struct {
	seed  maphash.Seed
	first []int32 // by hash: the number of a chain's first grant, counted from 1; 0: there is none
	next  []int32 // by grant: the number of the next in its chain
}

func indexGrants(grants []Grant) holders {
	if len(grants) == 0 {
		return holders{}
	}
	h := holders{seed: maphash.MakeSeed(), first: make([]int32, 2<<bits.Len(uint(len(grants)-1))), next: make([]int32, len(grants))}
	for _, i := range byEnd(grants) {
		at := h.slot(grants[i].Who, grants[i].Device)
		h.next[i], *at = *at, i+1
	}
	return h
}

// byEnd orders grants so that the one that ends first comes first, and of those that end together the last one.
func byEnd(grants []Grant) []int32 {
	order := make([]int32, len(grants))
	for i := range order {
		order[i] = int32(len(grants) - 1 - i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(grants[a].Until.Compare(grants[b].Until), cmp.Compare(b, a))
	})
	return order
}

// slot gives the beginning of the chain that has the grants of a person on a device.
func (h *holders) slot(who id.Principal, device id.Device) *int32 {
	sum := maphash.String(h.seed, who.Subject) ^ bits.RotateLeft64(maphash.String(h.seed, string(device)), 32)
	return &h.first[sum&uint64(len(h.first)-1)]
}

func (h *holders) each(grants []Grant, who id.Principal, device id.Device, use func(*Grant) bool) {
	if len(h.first) == 0 {
		return
	}
	for n := *h.slot(who, device); n != 0; n = h.next[n-1] {
		if g := &grants[n-1]; g.isOf(who, device) && !use(g) {
			return
		}
	}
}
