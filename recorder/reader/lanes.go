package reader

import (
	"context"
	"runtime"
	"sort"
	"sync"

	"github.com/sallyport/sallyport/recorder/format"
)

// A chain has to be hashed one chunk after the other, and that is nearly all that level A costs. But the close record says
// what the chain is where each segment begins. So a long container is scanned in lanes, side by side, each from a
// segment start that the close names to that of the next lane. Nothing is believed: a lane counts only when the one before it
// ended in exactly the state from which it began, so that together they are the one scan from h[0]. If anything at all is
// not so, they count for nothing, and the container is scanned from its beginning, which finds the first fault.

const (
	lanesFrom = 1 << 20 // bytes of a container that is worth them
	mostLanes = 8
)

// lane is a verifier of one stretch. The first one begins behind the header.
type lane struct {
	verifier
	began    format.IndexEntry
	segments uint64 // before it
	err      error
}

// sideBySide scans the container in lanes and says whether it holds. false says nothing: it is to be scanned in one.
func (v *verifier) sideBySide(ctx context.Context) bool {
	lanes := v.lanes()
	if len(lanes) < 2 {
		return false
	}
	var all sync.WaitGroup
	for i, l := range lanes {
		until := toEnd
		if i+1 < len(lanes) {
			until = int64(lanes[i+1].began.Offset)
		}
		all.Go(func() { l.err = l.chunks(ctx, until) })
	}
	all.Wait()
	for i, l := range lanes[1:] {
		if !lanes[i].leadsTo(l) {
			return false
		}
	}
	last := lanes[len(lanes)-1]
	if last.err != nil || last.sc.Closed == nil || last.sc.Miscounted(last.sc.Closed) != "" {
		return false
	}
	for _, l := range lanes {
		last.sc.Held = max(last.sc.Held, l.sc.Held)
	}
	v.sc, v.heads = last.sc, last.heads // what is left of those is beyond the end
	return true
}

// lanes cuts the container where the close says that segments begin, in stretches that are about equally long.
func (v *verifier) lanes() []*lane {
	n := int64(v.opt.lanes)
	if n == 0 && v.sc.Size >= lanesFrom {
		n = int64(min(runtime.GOMAXPROCS(0), mostLanes))
	}
	if n < 2 || v.op != nil { // with a key, frames go on where those of the chunk before ended
		return nil
	}
	rec := v.sc.PeekClose()
	if rec == nil || rec.Stride != 1 {
		return nil
	}
	lanes := []*lane{v.lane(format.IndexEntry{}, 0)}
	for k := int64(1); k < n; k++ {
		i := sort.Search(len(rec.Index), func(i int) bool { return rec.Index[i].Offset >= uint64(v.sc.Size/n*k) })
		if i == 0 || i >= len(rec.Index) {
			continue
		}
		before, e := lanes[len(lanes)-1].began, rec.Index[i]
		if e.Seq > before.Seq && e.Offset > before.Offset && e.Offset < uint64(v.sc.Size) {
			lanes = append(lanes, v.lane(e, i))
		}
	}
	for seq, h := range v.heads {
		i := sort.Search(len(lanes), func(i int) bool { return lanes[i].began.Seq > seq })
		lanes[i-1].heads[seq] = h
	}
	return lanes
}

// lane begins where e says that segment number j does.
func (v *verifier) lane(e format.IndexEntry, j int) *lane {
	return &lane{verifier: verifier{opt: v.opt, sc: v.sc.From(e, uint32(j)), tally: v.tally,
		heads: map[uint32][32]byte{}}, began: e, segments: uint64(j)}
}

// leadsTo reports whether a lane ended in the state from which the next one began, and takes its counts over there if
// so.
func (l *lane) leadsTo(next *lane) bool {
	return l.err == nil && l.sc.LeadsTo(next.sc, next.began, next.segments)
}
