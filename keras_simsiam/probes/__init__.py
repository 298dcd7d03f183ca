"""What frozen features are worth: functions of arrays, which read and write no files."""
