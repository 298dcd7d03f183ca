"""What experts check by eye before they trust RGB-D data: python -m tools.doctor data/kitchen --output=report.html"""

from keras_simsiam.core.command import run_command

from keras_simsiam.commands import doctor

if __name__ == "__main__":
    run_command(doctor.main, doctor.define_flags, takes_arguments=True)
