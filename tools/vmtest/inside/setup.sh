#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs in the machine at every boot: a camera that sees what is written to the video output beside it, and the drivers
# that uinput and the LEDs need.
set -eu
modprobe -a uinput ledtrig-oneshot ledtrig-timer
modprobe vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=3 num_outputs=1 output_types=1
udevadm settle
for device in /dev/video0 /dev/video1; do
    v4l2-ctl -d "$device" --set-dv-bt-timings index=0
done
v4l2-ctl -d /dev/video1 --set-fmt-video-out=width=640,height=480,pixelformat=BGR3
# The counter in a corner makes every picture a new one, as the noise of a sensor does: one that stays is a camera that hangs.
v4l2-ctl -d /dev/video0 --set-ctrl=hdmi_000_0_is_connected_to=2,osd_text_mode=1
