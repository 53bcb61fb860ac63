package records

import (
	"iter"
	"slices"
	"sync"
)

// mostPassed bounds the parts whose progress leaves are remembered.
const mostPassed = 1000

// passed is where the progress leaves of parts that have ended are. The log keeps what it has, so to look once is enough; the
// leaves themselves are read and proven each time.
type passed struct {
	mu  sync.Mutex // guards all
	all map[[2]uint64][]uint64
}

// of gives the indices between an open leaf and an end.
func (p *passed) of(span [2]uint64) (iter.Seq[uint64], bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, ok := p.all[span]
	return slices.Values(all), ok
}

func (p *passed) keep(span [2]uint64, found []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[[2]uint64][]uint64{}
	}
	for old := range p.all { // any: whose place is taken is only looked for again
		if len(p.all) < mostPassed {
			break
		}
		delete(p.all, old)
	}
	p.all[span] = found
}

// between are all indices behind an open leaf and before an end.
func between(span [2]uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for at := span[0] + 1; at < span[1] && yield(at); at++ {
		}
	}
}
