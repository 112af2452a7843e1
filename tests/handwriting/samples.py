"""One small valid file of every ink format, written out by hand."""

import json

JSON = json.dumps(
    {
        "strokes": [[[0, 0, 0.0], [3, 4, 0.1]], [[5, 5, 0.3]]],
        "text": "hi",
        "writer": "w",
    }
)
QUICKDRAW = json.dumps(
    {
        "word": "cat",
        "countrycode": "US",
        "recognized": True,
        "drawing": [[[1, 2, 3], [4, 5, 6], [0, 10, 20]], [[7], [8], [90]]],
    }
)
UNIPEN = """.INCLUDE dene.doc
.LEXICON "0" "1"
.SEGMENT DIGIT 0 ? "8"
.COMMENT 8 12  224
.PEN_DOWN
 267  333
 267  336
.PEN_UP
.DT 100
.PEN_DOWN
 260  300
.PEN_UP
.SEGMENT DIGIT 0 ? "3"
.COMMENT 3 13  225
.PEN_DOWN
 1  2
 3  4
.PEN_UP
"""
OMNIGLOT = "START\n68.75,-25.5,0\n68.75,-27.5,140\nBREAK\n67.0,-41.0,1152\nBREAK\n"
GW = "letters\n412 236 0\n413 239 0\n423 240 1\n446 242 1\n"
IAM = """<?xml version="1.0" encoding="ISO-8859-1"?>
<WhiteboardCaptureSession>
  <WhiteboardDescription><SensorLocation corner="top_left"/></WhiteboardDescription>
  <StrokeSet>
    <Stroke colour="black" start_time="10.5" end_time="10.6">
      <Point x="1421" y="2152" time="10.50"/>
      <Point x="1420" y="2150" time="10.60"/>
    </Stroke>
    <Stroke colour="black" start_time="11.0" end_time="11.0">
      <Point x="1450" y="2100" time="11.00"/>
    </Stroke>
  </StrokeSet>
</WhiteboardCaptureSession>
"""
INKML = """<ink xmlns="http://www.w3.org/2003/InkML">
  <traceFormat>
    <channel name="X" type="decimal"/><channel name="Y" type="decimal"/>
    <channel name="T" type="integer" units="ms"/><channel name="F" type="decimal"/>
  </traceFormat>
  <annotation type="truth">ab</annotation>
  <annotation type="writer">w7</annotation>
  <trace id="0">10 20 0 0.5, 11 22 10 0.6</trace>
  <trace id="1">30 40 500 0.1</trace>
</ink>
"""
MLF = '#!MLF!#\n"*/a01-000u-01.lab"\nT\no\nsp\nb\ne\npt\n.\n'
ENTITY_BOMB = """<?xml version="1.0"?>
<!DOCTYPE ink [
  <!ENTITY a "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa">
  <!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
  <!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
]>
<ink><annotation type="truth">&c;</annotation><trace>1 2, 3 4</trace></ink>
"""
EXTERNAL_ENTITY = """<?xml version="1.0"?>
<!DOCTYPE ink [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<ink><annotation type="truth">&x;</annotation><trace>1 2, 3 4</trace></ink>
"""
FORMATS = {
    "json": JSON,
    "quickdraw": QUICKDRAW,
    "unipen": UNIPEN,
    "omniglot": OMNIGLOT,
    "gw": GW,
    "iam": IAM,
    "inkml": INKML,
}
