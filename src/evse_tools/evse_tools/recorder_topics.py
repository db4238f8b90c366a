"""Names of the two topics with which every recording begins (recorder_about.py): whoever only reads recordings needs no ROS for them."""

# The station's description word by word; versions, fault table and parameters as JSON.
DESCRIPTION, ABOUT = "/station_description", "/recording_about"
