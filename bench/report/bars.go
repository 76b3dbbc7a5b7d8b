package report

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// bars plots groups of bars from the axis upwards. Unlike plotter.BarChart it can stand on a logarithmic axis, which has no 0.
type bars struct {
	groups, peers int
	values        []float64 // a group after the other; NaN leaves a gap
	colors        []color.Color
	line          float64
}

// Plot implements plot.Plotter.
func (b bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	width := 0.8 / float64(b.peers)
	for i, v := range b.values {
		if !(v > p.Y.Min) {
			continue
		}
		left := float64(i/b.peers) - 0.4 + float64(i%b.peers)*width
		right := left + 0.9*width
		bottom, top := y(p.Y.Min), y(min(v, p.Y.Max))
		c.FillPolygon(b.colors[i%b.peers], []vg.Point{
			{X: x(left), Y: bottom}, {X: x(left), Y: top}, {X: x(right), Y: top}, {X: x(right), Y: bottom}})
	}
	if b.line > 0 {
		style := draw.LineStyle{Color: color.Gray{Y: 80}, Width: vg.Points(0.7), Dashes: []vg.Length{vg.Points(3), vg.Points(2)}}
		c.StrokeLine2(style, x(p.X.Min), y(b.line), x(p.X.Max), y(b.line))
	}
}

// swatch is a legend's patch of colour.
type swatch struct{ c color.Color }

// Thumbnail implements plot.Thumbnailer.
func (s swatch) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(s.c, []vg.Point{c.Min, {X: c.Min.X, Y: c.Max.Y}, c.Max, {X: c.Max.X, Y: c.Min.Y}})
}
