package delay

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// device is one end of a line: the test sends from it and sees what it received, and when.
type device struct {
	out    chan []byte
	closed chan struct{}
	once   sync.Once
	broken bool
	mu     sync.Mutex
	got    []arrival
}

type arrival struct {
	number int
	at     time.Time
}

func newDevice() *device { return &device{out: make(chan []byte), closed: make(chan struct{})} }

func (d *device) Read(p []byte) (int, error) {
	select {
	case b := <-d.out:
		return copy(p, b), nil
	case <-d.closed:
		return 0, io.EOF
	}
}

func (d *device) Write(p []byte) (int, error) {
	if d.broken {
		return 0, errors.New("the device is down")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, arrival{int(binary.BigEndian.Uint32(p)), time.Now()})
	return len(p), nil
}

func (d *device) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

func (d *device) send(number int) { d.out <- binary.BigEndian.AppendUint32(nil, uint32(number)) }

// arrivals is the numbers of what was received, in order.
func (d *device) arrivals() (numbers []int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.got {
		numbers = append(numbers, a.number)
	}
	return numbers
}

const oneWay = 20 * time.Millisecond

// line joins two devices by the clock of the test's bubble.
func line(t *testing.T) (*Line, *device, *device) {
	a, b := newDevice(), newDevice()
	l := join(a, b, oneWay, func() {}, time.Sleep)
	t.Cleanup(l.Close)
	return l, a, b
}

func TestEveryPacketWaitsAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := line(t)
		start := time.Now()
		for i := range 50 {
			a.send(i)
			time.Sleep(3 * time.Millisecond)
			b.send(100 + i)
			time.Sleep(4 * time.Millisecond)
		}
		time.Sleep(time.Second)
		l.Close()
		require.Len(t, b.got, 50)
		require.Len(t, a.got, 50)
		for i := range 50 {
			assert.Equal(t, arrival{i, start.Add(time.Duration(7*i)*time.Millisecond + oneWay)}, b.got[i])
			assert.Equal(t, arrival{100 + i, start.Add(time.Duration(7*i+3)*time.Millisecond + oneWay)}, a.got[i])
		}
		assert.Equal(t, Stats{Carried: 100}, l.Take())
		assert.Equal(t, Stats{}, l.Take())
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := line(t)
		for i := range capacity + 10 {
			a.send(i)
			synctest.Wait()
		}
		time.Sleep(time.Second)
		// One is with the goroutine that hands it on, the others are in the queue.
		numbers := b.arrivals()
		require.Len(t, numbers, capacity+1)
		for i, n := range numbers {
			require.Equal(t, i, n, "in order, and the last ones are what is dropped")
		}
		assert.Equal(t, Stats{Carried: capacity + 1, Dropped: 9}, l.Take())
		a.send(7)
		time.Sleep(oneWay)
		synctest.Wait()
		assert.Equal(t, 7, b.arrivals()[capacity+1], "it goes on")
	})
}

func TestLatenessShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newDevice(), newDevice()
		l := join(a, b, oneWay, func() {}, func(d time.Duration) { time.Sleep(d + 2*time.Millisecond) })
		defer l.Close()
		a.send(1)
		time.Sleep(time.Second)
		assert.Equal(t, Stats{Carried: 1, Late: 2 * time.Millisecond}, l.Take())
	})
}

func TestADeviceThatTakesNothingDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := line(t)
		b.broken = true
		a.send(1)
		time.Sleep(time.Second)
		assert.Equal(t, Stats{Dropped: 1}, l.Take())
	})
}

func TestCloseLosesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := line(t)
		a.send(1)
		a.send(2)
		synctest.Wait()
		l.Close()
		l.Close()
		assert.LessOrEqual(t, len(b.arrivals()), 1, "the one whose time was running")
	})
}

// TestPunctual is by the machine's own clock. The median, and the best of three, because the machine may be busy.
func TestPunctual(t *testing.T) {
	var off time.Duration
	for range 3 {
		a, b := newDevice(), newDevice()
		l := Join(a, b, oneWay)
		var sent, held []time.Duration
		start := time.Now()
		for i := range 40 {
			sent = append(sent, time.Since(start))
			a.send(i)
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(2 * oneWay)
		l.Close()
		require.Len(t, b.got, 40)
		for i, g := range b.got {
			held = append(held, g.at.Sub(start)-sent[i])
		}
		slices.Sort(held)
		require.GreaterOrEqual(t, held[0], oneWay)
		if off = held[20] - oneWay; off < time.Millisecond {
			return
		}
	}
	t.Errorf("half of all packets were more than %v late", off)
}
